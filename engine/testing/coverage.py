"""Which rules, which of their conditions, and which functions of libraries the tests have exercised, and to what end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from engine.cel import Defined, Program, Scope
from engine.cel.resolution import static_type
from engine.cel.types import BOOL
from engine.errors import EvaluationError
from engine.model.observe import Evaluated
from engine.packs.pack import RulePack

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Point:
    """One thing to cover, with counts by outcome.

    It is a rule that fires and is skipped, a condition that is true and false, or a `function` (`rule` by its whole name, `pack`
    is its library), which has a value, or is true and false.
    """

    pack: str
    rule: str
    clause: int
    source: str
    counts: Counter[str]
    function: bool = False
    condition: bool = False

    @property
    def wanted(self) -> tuple[str, ...]:
        """The outcomes that cover it. Unknown is reported but not required: many conditions always have an answer."""
        if self.function:
            return ("true", "false") if self.condition else ("value",)
        return ("true", "false") if self.clause else (Evaluated.FIRED.value, Evaluated.SKIPPED.value)

    @property
    def missing(self) -> tuple[str, ...]:
        """What the tests have not brought about yet."""
        return tuple(outcome for outcome in self.wanted if not self.counts[outcome])


@dataclass(slots=True)
class Coverage:
    """Counts the results of rules and how conditions ended, over all tests."""

    counts: dict[tuple[str, str, int], Counter[str]] = field(default_factory=dict)
    packs: dict[str, RulePack] = field(default_factory=dict)
    functions: dict[str, Counter[str]] = field(default_factory=dict)
    _conditions: set[str] = field(default_factory=set)

    def declare(self, functions: Iterable[Defined]) -> None:
        """Note functions, which tests of their own are to call."""
        for function in functions:
            self.functions.setdefault(function.name, Counter())
            if BOOL in (function.result, static_type(function.body.root)):
                self._conditions.add(function.name)

    def called(self, function: str, outcome: str) -> None:
        """Count a call of a function by a test of its own."""
        self.functions.setdefault(function, Counter())[outcome] += 1

    def watched(self, pack: RulePack) -> RulePack:
        """The pack with conditions that are counted whenever they are evaluated."""
        self.packs.setdefault(pack.identity, pack)
        rules = []
        for rule in pack.rules:
            clauses = [
                replace(clause, answer=_counting(clause, self._counter(pack.identity, rule.name, number)))
                for number, clause in enumerate(rule.when, start=1)
            ]
            rules.append(replace(rule, when=tuple(clauses)))
        return replace(pack, rules=tuple(rules))

    def evaluated(self, pack: str, rule: str, result: Evaluated) -> None:
        """Count a result of a rule."""
        self._counter(pack, rule, 0)[result.value] += 1

    def acted(self, pack: str, rule: str) -> None:
        """A rule that acts for a group of objects has fired; each object of the group is only counted."""
        if any(each.name == rule and each.aggregate is not None for each in self.packs[pack].rules):
            self.evaluated(pack, rule, Evaluated.FIRED)

    def points(self) -> Iterator[Point]:
        """Everything there is to cover. A rule without conditions only has to fire: some have nothing that they skip."""
        for pack in self.packs.values():
            for rule in pack.rules:
                counts = Counter(self._counter(pack.identity, rule.name, 0))
                if not rule.when:
                    counts[Evaluated.SKIPPED.value] += counts[Evaluated.FIRED.value]
                yield Point(pack.identity, rule.name, 0, rule.name, counts)
                for number, clause in enumerate(rule.when, start=1):
                    yield Point(pack.identity, rule.name, number, clause.source, self._counter(pack.identity, rule.name, number))

        for name, counts in self.functions.items():
            yield Point(name.rpartition(".")[0], name, 0, name, counts, function=True, condition=name in self._conditions)

    def percent(self) -> float:
        """How much of it is covered; 100 where there is nothing to cover."""
        points = list(self.points())
        wanted = sum(len(point.wanted) for point in points)
        return 100.0 * (1 - sum(len(point.missing) for point in points) / wanted) if wanted else 100.0

    def _counter(self, pack: str, rule: str, clause: int) -> Counter[str]:
        return self.counts.setdefault((pack, rule, clause), Counter())


def _counting(clause: Program, counts: Counter[str]) -> Any:
    def answer(scope: Scope) -> Any:
        try:
            value = clause.answer(scope)
        except EvaluationError:
            counts[UNKNOWN] += 1
            raise
        counts["true" if value is True else "false" if value is False else UNKNOWN] += 1
        return value

    return answer
