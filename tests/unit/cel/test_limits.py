"""What an expression may cost: whatever a pack and an object hold, an evaluation ends soon, and says which limit it met."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from engine.cel import Cel, Compiler, Scope
from engine.errors import EvaluationError, Location

RESULTS = 9000
TEXT = "x" * 250_000
OBJECT = {
    "kind": "Job",
    "metadata": {"name": "a", "annotations": {"long": TEXT, "yaml": "\n".join(f"k{n}: v" for n in range(24_000))}},
    "status": {"results": [{"index": n, "status": "Failure", "output": "x" * 80} for n in range(RESULTS)]},
}
"""About as large as etcd lets an object be: 1.5 MB."""
EACH = "object.status.results.all(r, {})"
LONG = "object.metadata.annotations.long"

REFUSED = {
    "nested": EACH.format("object.status.results.exists(s, s.index == r.index)"),
    "hash": EACH.format(f"hash({LONG}) != ''"),
    "contains": EACH.format(f"!{LONG}.contains('xy')"),
    "matches": EACH.format(f"!{LONG}.matches('(x+x+)+y')"),
    "toJson": EACH.format("toJson(object.status.results) != ''"),
    "equal": EACH.format("object.status == object.status"),
    "member": EACH.format("!(1 in object.status.results)"),
    "member of maps": EACH.format("!(object.metadata in object.status.results)"),
    "split": EACH.format(f"{LONG}.split('') != []"),
    "join": EACH.format(f"{LONG}.split('').join(',') != ''"),
    "replace": EACH.format(f"{LONG}.replace('x', 'yy') != ''"),
    "concatenate": EACH.format(f"({LONG} + {LONG}) != ''"),
    "append": EACH.format("(object.status.results + object.status.results) != []"),
    "long body": EACH.format(" && ".join(f"r.index != -{n}" for n in range(1, 300))),
    "parseYaml": "parseYaml(object.metadata.annotations.yaml) != null",
    "jmespath": EACH.format("jmespath(object, 'status.results[?status==`x`] | [0]') == null"),
    "jmespath doubles": "jmespath(object, 'kind" + "|[@,@]" * 24 + "') != null",
    "jmespath flattens": "jmespath(object, 'status.results" + "|[@,@][]" * 12 + "') != null",
}
ANSWERED = {
    "steps": EACH.format("r.status == 'Failure'"),
    "jmespath": "jmespath(object, 'status.results[?index==`8999`].status | [0]') == 'Failure'",
    "toJson": "toJson(object.status.results.map(r, r.index)) != ''",
    "split": f"{LONG}.split('').size() == 250000",
    "matches": f"!{LONG}.matches('(x+x+)+y')",
}


def longest(evaluate: Callable[[], Any]) -> tuple[Any, float]:
    """What an evaluation gives, or why it has no answer, and its milliseconds."""
    started = time.perf_counter()
    try:
        answer = evaluate()
    except EvaluationError as unanswered:
        answer = unanswered
    return answer, (time.perf_counter() - started) * 1000


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_take_long_has_no_answer(cel: Cel, name: str, record_property: Callable[[str, Any], None]) -> None:
    """The work is counted, so that it is the same expressions that end, on every machine; the time is only noted."""
    program = cel.compile(REFUSED[name], ["object"])

    answer, milliseconds = longest(lambda: program.evaluate(Scope({"object": OBJECT})))

    record_property("milliseconds", round(milliseconds, 1))
    assert isinstance(answer, EvaluationError), answer
    assert "more than" in str(answer)


@pytest.mark.parametrize("name", ANSWERED)
def test_a_large_object_can_be_judged(cel: Cel, name: str) -> None:
    """One evaluation of all of an object of 1.5 MB is within the limits."""
    assert cel.compile(ANSWERED[name], ["object"]).condition(Scope({"object": OBJECT}))


def test_vars_count_with_the_expression_that_needs_them(cel: Cel) -> None:
    """A chain of vars costs what all of them cost together, and a value that doubles in each of them ends."""
    names = [f"v{number}" for number in range(60)]
    doubling = {
        name: cel.compile("[1]" if not number else f"vars.v{number - 1} + vars.v{number - 1}", ["vars"])
        for number, name in enumerate(names)
    }
    nesting = {
        name: cel.compile("[1]" if not number else f"[vars.v{number - 1}, vars.v{number - 1}]", ["vars"])
        for number, name in enumerate(names)
    }

    for vars in (doubling, nesting):
        with pytest.raises(EvaluationError, match="more than"):
            cel.compile("vars.v59 == vars.v59", ["vars"]).evaluate(Scope({}, vars))


def test_a_result_has_a_limit(cel: Cel) -> None:
    """What an expression gives must be written somewhere: a list of a hundred thousand values is no answer."""
    program = cel.compile(f"{LONG}.split('')", ["object"])

    with pytest.raises(EvaluationError, match="result is too large"):
        program.evaluate(Scope({"object": OBJECT}))


def test_a_template_counts_all_its_expressions(cel: Cel) -> None:
    """Many expressions in one action are one evaluation."""
    compiler = Compiler(cel, ["object"], lambda path, line, column: Location("pack.yaml", line, column))
    template = compiler.template({f"k{number}": f"${{hash({LONG})}}" for number in range(1000)}, ())

    with pytest.raises(EvaluationError, match="more than"):
        template.render(Scope({"object": OBJECT}))


def test_a_limit_is_no_answer_that_or_can_do_without(cel: Cel) -> None:
    """`expensive || true` is not true: otherwise it would go on to the next expensive part."""
    program = cel.compile(f"{REFUSED['hash']} || object.kind == 'Job'", ["object"])

    with pytest.raises(EvaluationError, match="more than"):
        program.evaluate(Scope({"object": OBJECT}))


def test_the_next_evaluation_begins_with_all_of_it(cel: Cel) -> None:
    """What one expression has cost is not held against the next one on the same object."""
    scope = Scope({"object": OBJECT})
    with pytest.raises(EvaluationError):
        cel.compile(REFUSED["hash"], ["object"]).evaluate(scope)

    assert cel.compile(ANSWERED["steps"], ["object"]).condition(scope)
