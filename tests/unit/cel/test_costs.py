"""Expressions that make much of few values: the work is counted, so none takes long."""

from __future__ import annotations

import pytest

from engine.cel import Cel, Scope
from engine.errors import EvaluationError

OBJECT = {
    "text": "x" * 200_000,
    "list": ",".join(map(str, range(2000))),
    "numbers": list(range(900)),
    "mixed": "".join("abcdxy"[number * number % 97 % 6] for number in range(200_000)),
    "pattern": "^x+$",
}
"""Few values, which weigh little, but much can be made of them."""
EACH = "object.numbers.all(n, {})"
REFUSED = {
    "pieces": "object.list.split(',').all(each, !object.text.contains('x' + each))",
    "contains": " || ".join(f"object.text.contains('x{number}')" for number in range(150)),
    "indexOf": EACH.format("object.text.indexOf('xy') < 0"),
    "concatenate": EACH.format("(object.text + object.text) != ''"),
    "substring": EACH.format("object.text.substring(1, 199000) != ''"),
    "lowerAscii": EACH.format("object.text.lowerAscii() != ''"),
    "upperAscii": "object.numbers.map(n, object.text.upperAscii()) != []",
    "map in map": "object.numbers.map(n, object.numbers.map(m, 'abc')) != []",
    "equal": EACH.format("object.numbers == object.numbers"),
    "member": EACH.format("!((n + 5000) in object.numbers)"),
    "slow pattern": EACH.format("!object.mixed.matches('[ab].{60}z')"),
    "find": EACH.format("object.mixed.find('[ab].{60}z') == ''"),
    "findAll": EACH.format("object.mixed.findAll('[ab].{60}z') == []"),
    "format": EACH.format("'%s'.format([object.text]) != ''"),
    "reverse": EACH.format("object.text.reverse() != ''"),
    "base64": EACH.format("base64.encode(bytes(object.text)) != ''"),
    "sort": "object.numbers.sort() != []",
    "distinct": "object.numbers.distinct() != []",
    "sets": "sets.contains(object.numbers, object.numbers)",
    "indexOf in lists": EACH.format("object.numbers.indexOf(-1) < 0"),
    "range": EACH.format("lists.range(50000) != []"),
    "three loops": EACH.format("object.numbers.all(m, object.numbers.all(k, true))"),
    "transformMap": EACH.format("object.numbers.transformMap(i, m, m) != {}"),
    "patterns": EACH.format("!'x'.matches('(a{500}b{300}c{200})' + string(n))"),
}
ANSWERED = {
    "one pattern": EACH.format("!string(n).matches(object.pattern)"),
    "some patterns": "object.numbers.filter(n, n < 30).all(n, !'text'.matches('(?i)some error no. ' + string(n)))",
    "pattern of the text": EACH.format("!string(n).matches('^x+$')"),
    "size": EACH.format("object.text.size() > 0"),
    "startsWith": EACH.format("object.text.startsWith(object.text)"),
    "filter": "object.numbers.filter(n, n > 897) == [898, 899]",
}


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_and_soon(cel: Cel, name: str) -> None:
    """The work is counted, whatever an expression makes of the few values that it is given."""
    with pytest.raises(EvaluationError, match="more than"):
        cel.compile(REFUSED[name], ["object"]).evaluate(Scope({"object": OBJECT}))


@pytest.mark.parametrize("name", ANSWERED)
def test_what_is_cheap_is_answered(cel: Cel, name: str) -> None:
    """What is within the limits."""
    assert cel.compile(ANSWERED[name], ["object"]).condition(Scope({"object": OBJECT}))


@pytest.mark.parametrize("pattern", [r"[\p{L}\p{N}]{900}", "(" + "a|" * 300 + "a)", "a{999}" * 60])
def test_a_pattern_of_data_has_a_limit(cel: Cel, pattern: str) -> None:
    """Seventeen characters can be a pattern that takes 44 ms to compile, so what comes from data must be a small one."""
    program = cel.compile("'x'.matches(object.pattern)", ["object"])

    with pytest.raises(EvaluationError, match=r"pattern too large|too long for a regular expression"):
        program.evaluate(Scope({"object": {"pattern": pattern}}))
