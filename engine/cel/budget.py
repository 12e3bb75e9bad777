"""How much work one evaluation may cost: counted, not timed, so that an expression has the same answer on every machine.

A unit is about a microsecond; the rates below were measured on the portable backend (tests/unit/cel/test_limits.py prints
what they come to). Whoever reaches the limit has no answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Final

from engine.cel import documents
from engine.errors import EvaluationError
from engine.model.mappings import is_mapping

#: Units that one evaluation may cost: of a rule, of an action's plan, or of whatever else is done within one `with`.
MAX_WORK: Final = 50_000
#: Units that a list or map may weigh which an expression gives.
MAX_RESULT: Final = 100_000
#: Units that a regular expression costs at least that comes from data (see `documents.pattern_of_data`).
PATTERN: Final = 500
#: How much larger a JMESPath query may make its input by multi-selects, before that counts.
_GROWTH: Final = 4


class LimitReached(EvaluationError):
    """A limit was reached: not an answer that `||` or `&&` may do without."""


class Budget:
    """What the evaluation that is under way may still cost; the outermost one begins with all of it.

    `open` is how many evaluations are under way, one within the other.
    """

    __slots__ = ("_left", "_patterns", "open")

    def __init__(self) -> None:
        self._left = self.open = 0
        self._patterns: set[str] = set()

    def __enter__(self) -> None:
        if not self.open:
            self._left = MAX_WORK
            self._patterns.clear()
        self.open += 1

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.open -= 1

    def spend(self, units: int) -> None:
        """Take units away. Raises LimitReached where there are no more."""
        self._left -= units
        if self._left < 0:
            raise LimitReached(f"the evaluation needs more than {MAX_WORK} steps; expected less data, or a simpler expression")

    def compile(self, pattern: Any) -> None:
        """Take away what a regular expression costs that does not stand in the text, once in an evaluation for each."""
        if type(pattern) is str and pattern not in self._patterns:
            self.spend(PATTERN + 10 * len(pattern))
            self._patterns.add(pattern)


def weigh(value: Any, limit: int = MAX_WORK) -> int:
    """How large a value is, written out: one for each value in it and for every 500 characters. Counts on to `limit` only."""
    total, rest = 0, [value]
    while rest and total <= limit:
        each = rest.pop()
        total += 1
        if type(each) is str:
            total += len(each) // 500
        elif is_mapping(each):
            rest.extend(each.values())
            total += len(each)
        elif type(each) is list:
            rest.extend(each)
    return total + len(rest)


Cost = Callable[..., int]


def by_length(rate: int) -> Cost:
    """A unit for so many characters of the first argument."""
    return lambda value, *_: len(value) // rate


def searching(text: str, size: int) -> int:
    """What it costs to search a text for a pattern of so many instructions: RE2 is linear in both where it has to be."""
    return len(text) * max(size, 4) // 1200


def by_document(rate: int) -> Cost:
    """A unit for so many characters of a text that is parsed; one that is too long for that is refused at no cost."""
    return lambda value: len(value) // rate if len(value) <= documents.MAX_DOCUMENT else 0


#: Characters of a text that a unit is enough to compare.
LONG: Final = 4096


def comparison(left: Any, right: Any) -> int:
    """What `==` costs."""
    if type(left) is str:
        return len(left) // LONG
    alike = isinstance(left, list | Mapping) and isinstance(right, list | Mapping) and len(left) == len(right)
    return weigh(left) if alike else 0


def membership(item: Any, container: Any) -> int:
    """What `in` costs: half of a list has to be compared."""
    return len(container) // 2 * weigh(item) if isinstance(container, list) else 0


def putting_together(left: Any, right: Any) -> int:
    """What `+` costs where both sides have a length."""
    if type(left) is str or type(left) is bytes:
        return (len(left) + len(right)) >> 12
    return (len(left) + len(right)) >> 7 if type(left) is list else 0


def pieces(value: list[Any], *_: Any) -> int:
    """What it costs to put the strings of a list together."""
    return len(value) // 8 + sum(len(each) for each in value if type(each) is str) // 500


def each_item(value: list[Any], *_: Any) -> int:
    """What it costs to go through every item of a list."""
    return weigh(value) // 4


def each_pair(first: list[Any], second: list[Any] | None = None, *_: Any) -> int:
    """What it costs to compare every item of a list with every item of another, or of the same."""
    other = first if second is None else second
    return len(first) * len(other) // 4 + weigh(first) // 4
