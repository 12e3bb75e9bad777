"""Writes docs/reference/cel-conformance.md: what the engine makes of the official tests, by section, and which do not apply.

`python -m tests.conformance.table` writes it; a test compares it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.conformance.suite import Case, Verdict, cases, evaluate

PAGE = Path(__file__).parents[2] / "docs/reference/cel-conformance.md"
_HEAD = """\
<!-- Written by `python -m tests.conformance.table`. -->

# CEL: the official conformance tests

`make test` runs the tests that the CEL project publishes (Go module `cel.dev/expr`, `tests/simple/testdata`, pinned by
`tests/conformance/go.mod`). An expression that is refused though it has a value does not count as passed. Tests that expect no
answer pass where the engine gives none, or refuses the expression for the same reason.
"""
_DIFFERENT = """\
## Where the engine differs from a test

These tests use durations of more than 292 years. Kubernetes keeps a duration as 64 bits of nanoseconds and has no answer to them;
so has the engine.
"""
_ELSEWHERE = """\
## Where Kubernetes 1.34 differs from the engine

`tests/conformance` asks a real kube-apiserver for all examples of the reference, for some 500 conditions at the edges of the
language, and for some 190 as policies have them (`test_kubernetes.py`, `test_policies.py`); none of those differs. Where official
tests, cel-go and cel-cpp do not agree, the engine does as Kubernetes, but for what an official test asks for
([decision 33](../decisions/0033-where-tests-and-kubernetes-differ.md)), and for what a pack writes or keeps as a key. These are
all the cases:

| expression | engine | Kubernetes 1.34 and 1.37 | why |
|---|---|---|---|
| `'abc'.indexOf('a', 30)`, and `lastIndexOf` | no answer | -1 | an official test |
| `duration('1.5s').getMilliseconds()` | 500, beyond the whole seconds | 1500 | an official test |
| `'%s'.format([['a', 1.5]])` | `[a, 1.5]` | `["a", 1.500000]` | an official test |
| `'%e'.format([1000.0])` | `1.000000e+03` | the same in a locale's form | an official test |
| `'%.2f'.format([12345.678])`, `'%s'.format([1e20])` | `12345.68`, 1 and 20 zeros | `12,345.68`, `1e+20` | \
as version 4 of cel-go's strings, which the official tests are of; Kubernetes has version 2 |
| `'%f'.format([1])`, `'%d'.format([1.0])` | `1.000000`, `1` | no answer | an official test, and version 4 |
| `{'a': 1, 'a': 2}`, `{1.5: 1}`, `{null: 1}` | no answer | a map | official tests, which cel-go means to pass |
| `a.?b.c` where `b` is null or a scalar | no answer | none | an official test; `a.?b.?c` is none in both |
| `-duration('1s')` | `duration('-1s')` | refused | nothing else could be meant |
| `[1, 'a'].max()`, and `min()`, of a list of which nothing is known | no answer | 1 | these values have no order |
| `annotations[?'a'].optMap(n, int(n))` in a policy | the number | no answer | \
cel-go finds no `int(string)` there, and does for any other text |
| `string(timestamp('2026-01-24T22:30:00+01:00'))` | `2026-01-24T21:30:00Z`, as cel-cpp | keeps `+01:00` | \
a time has one text, as templates write it and as keys (`oncePer`) have it |
| `int(true)` | 1, as cel-cpp | no such conversion | packs of 0.1 may use it, and nothing else could be meant |
| a field with `format: date-time` as a text: `self.time == '…'`, `self.time + 'x'` | works | \
refused in CRD rules; in policies it is a text | [decision 17](../decisions/0017-types-and-times.md) |
| `type()` and `int()` of such a field | of a text | of a timestamp in CRD rules, of a text in policies | \
[decision 17](../decisions/0017-types-and-times.md) |

`lists.range(-1)` has no answer in the engine, by an official test, and in Kubernetes 1.37; 1.34 does not have it.

Not in Kubernetes 1.34, and in the engine: cel-go's lists (1.37 has them), math, encoders and
bindings, `reverse()` of strings, fields in backticks, and `includes()`, which 1.37 evaluates and takes in new rules one version
later. Not in the engine, and in Kubernetes: the authorizer, which asks for the rights of who sends a request.
"""


def results() -> list[tuple[Case, Verdict]]:
    """Every test, and what came of it."""
    return [(case, evaluate(case)) for case in cases()]


def page(found: Sequence[tuple[Case, Verdict]]) -> str:
    """The text of the page."""
    lines = [_HEAD, "| section | tests | passed | differs | does not apply |", "|---|---:|---:|---:|---:|"]
    sections: dict[str, Counter[str]] = {}
    for case, verdict in found:
        sections.setdefault(f"{case.file}: {case.section}", Counter())[_column(verdict)] += 1
    lines += [_row(name, counts) for name, counts in sections.items()]
    lines.append(_row("**all**", sum(sections.values(), Counter())))
    lines += ["\n## What does not apply\n", "| why | tests |", "|---|---:|"]
    reasons = Counter(verdict.reason for _, verdict in found if verdict.kind == "not applicable")
    lines += [f"| {reason} | {count} |" for reason, count in reasons.most_common()]
    lines += [f"\n{_DIFFERENT}"]
    lines += [f"- `{case}`: `{case.expression}`" for case, verdict in found if _column(verdict) == "differs"]
    return "\n".join([*lines, f"\n{_ELSEWHERE}"])


def _column(verdict: Verdict) -> str:
    return verdict.kind if verdict.kind in ("passed", "not applicable") else "differs"


def _row(name: str, counts: Mapping[str, int]) -> str:
    columns = [sum(counts.values()), *(counts.get(column, 0) for column in ("passed", "differs", "not applicable"))]
    return f"| {name} | {' | '.join(map(str, columns))} |"


if __name__ == "__main__":
    PAGE.write_text(page(results()))
