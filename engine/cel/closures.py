"""The pieces of an evaluation: what it carries along, and how calls, logic and comprehensions are put together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from engine.cel import operators
from engine.cel.budget import LONG, Cost, LimitReached, comparison, searching
from engine.cel.documents import below, find, pattern_of_data, regular_expression
from engine.cel.functions import FUNCTIONS, domain
from engine.cel.operators import Mismatch
from engine.cel.program import Scope
from engine.errors import Unanswered

#: Iterations of all comprehensions of one evaluation, as in cel-cpp.
MAX_ITERATIONS = 10_000


class Frame:
    """One evaluation: its scope, the variables of its comprehensions, and the iterations it has left."""

    __slots__ = ("iterations", "locals", "scope")

    def __init__(self, scope: Scope, slots: int) -> None:
        self.scope = scope
        self.locals: list[Any] = [None] * slots
        self.iterations = MAX_ITERATIONS


Closure = Callable[[Frame], Any]


def loop(domain_of: Closure, slot: int, text: str, cost: int) -> Callable[[Frame], Iterator[Any]]:
    """Goes through the items of a domain, each in turn being the value of the comprehension's variable, at a cost for each."""

    def each(frame: Frame) -> Iterator[Any]:
        try:
            items = domain(domain_of(frame))
        except Mismatch as fault:
            raise Unanswered(f"{text}: {fault}") from None
        spend = frame.scope.budget.spend
        for item in items:
            frame.iterations -= 1
            if frame.iterations < 0:
                raise LimitReached(f"{text} has too many items: more than {MAX_ITERATIONS} steps in one expression")
            spend(cost)
            frame.locals[slot] = item
            yield item

    return each


def mapping(each: Callable[[Frame], Iterator[Any]], body: Closure, condition: Closure, text: str) -> Closure:
    return lambda frame: [body(frame) for _ in each(frame) if truth(condition(frame), text)]


def quantifier(each: Callable[[Frame], Iterator[Any]], body: Closure, text: str, *, decisive: bool) -> Closure:
    def decide(frame: Frame) -> bool:
        return _decide(frame, ((body, text) for _ in each(frame)), decisive)

    return decide


def guarded(text: str, compute: Callable[..., Any], closures: list[Closure], cost: Cost | None = None) -> Closure:
    """A call whose Mismatch becomes an Unanswered that quotes the source; `cost` says what it costs, by its arguments."""
    if len(closures) == 2:
        left, right = closures
        if cost is not None:
            return _costly(text, compute, left, right, cost)

        def call_two(frame: Frame) -> Any:
            try:
                return compute(left(frame), right(frame))
            except Mismatch as fault:
                raise Unanswered(f"{text}: {fault}") from None

        return call_two

    if len(closures) == 1 and cost is None:
        (only,) = closures

        def call_one(frame: Frame) -> Any:
            try:
                return compute(only(frame))
            except Mismatch as fault:
                raise Unanswered(f"{text}: {fault}") from None

        return call_one

    def call(frame: Frame) -> Any:
        try:
            arguments = [closure(frame) for closure in closures]
            if cost is not None:
                frame.scope.budget.spend(cost(*arguments))
            return compute(*arguments)
        except Mismatch as fault:
            raise Unanswered(f"{text}: {fault}") from None

    return call


def _costly(text: str, compute: Callable[..., Any], left: Closure, right: Closure, cost: Cost) -> Closure:
    def call_two(frame: Frame) -> Any:
        try:
            first, second = left(frame), right(frame)
            if units := cost(first, second):
                frame.scope.budget.spend(units)
            return compute(first, second)
        except Mismatch as fault:
            raise Unanswered(f"{text}: {fault}") from None

    return call_two


def matcher(text: str, value: Closure, pattern: Closure, *, own: bool) -> Closure:
    """`matches()` with a pattern that stands in the text (`own`), or with one that comes from data."""

    def call(frame: Frame) -> Any:
        found, expression = value(frame), pattern(frame)
        try:
            if type(found) is not str or type(expression) is not str:
                return FUNCTIONS["matches"].compute(found, expression)  # which says what is wrong
            if not own:
                frame.scope.budget.compile(expression)
            compiled = regular_expression(expression) if own else pattern_of_data(expression)
            frame.scope.budget.spend(searching(found, compiled.programsize))
            return compiled.search(found) is not None
        except Mismatch as fault:
            raise Unanswered(f"{text}: {fault}") from None

    return call


def same_text(value: Closure, literal: str, *, wanted: bool) -> Closure:
    """`value == 'literal'` (wanted: true) or `!=`, at the cost that the operator has for any two values."""

    def call(frame: Frame) -> bool:
        found = value(frame)
        if type(found) is not str:
            return not wanted
        if len(found) >= LONG:
            frame.scope.budget.spend(comparison(found, literal))
        return (found == literal) is wanted

    return call


def reader(variable: str) -> Closure:
    """A variable of the scope."""

    def read(frame: Frame) -> Any:
        try:
            return frame.scope.values[variable]
        except KeyError:
            return frame.scope.value(variable)  # which says that there is none

    return read


def walker(variable: str, fields: tuple[str, ...], otherwise: Closure) -> Closure:
    """A field below a variable; where there is none, `otherwise` says where the way ends."""

    def walk(frame: Frame) -> Any:
        value = frame.scope.values.get(variable)
        for field in fields:
            if type(value) is not dict or field not in value:
                return otherwise(frame)
            value = value[field]
        return value

    return walk


def fixed_getter(value: Closure, steps: tuple[str, ...], default: Closure) -> Closure:
    """`get()` with a path that stands in the text."""

    def get(frame: Frame) -> Any:
        found = below(value(frame), steps)
        return default(frame) if found is None else found

    return get


def getter(text: str, value: Closure, path: Closure, default: Closure) -> Closure:
    def get(frame: Frame) -> Any:
        try:
            found = find(value(frame), path(frame))
        except Mismatch as fault:
            raise Unanswered(f"{text}: {fault}") from None
        return default(frame) if found is None else found

    return get


def logical(closures: list[Closure], texts: list[str], *, decisive: bool) -> Closure:
    """`||` (decisive: true) or `&&` (false): the decisive value wins, even over parts that have no answer."""
    parts = list(zip(closures, texts, strict=True))
    return lambda frame: _decide(frame, parts, decisive)


def _decide(frame: Frame, parts: Iterable[tuple[Closure, str]], decisive: bool) -> bool:
    doubt: Unanswered | None = None
    for closure, text in parts:
        try:
            value = closure(frame)
        except LimitReached:
            raise
        except Unanswered as fault:
            doubt = doubt or fault
            continue
        if value is decisive:
            return value is True
        if value is not (not decisive):
            doubt = doubt or not_bool(text, value)
    if doubt is not None:
        raise doubt
    return not decisive


def truth(value: Any, text: str) -> bool:
    """The value of a test. Raises Unanswered, quoting the source, where it is not a bool."""
    if value is True or value is False:
        return value
    raise not_bool(text, value)


def answered(frame: Frame, name: str) -> bool:
    """`has(vars.<name>)`: whether the var has an answer."""
    try:
        frame.scope.var(name)
    except LimitReached:
        raise
    except Unanswered:
        return False
    return True


def no_fields(text: str, value: Any, field: str) -> Unanswered:
    """What is said of a field of something that is not a mapping."""
    kind = operators.type_name(value)
    return Unanswered(f"{text} is {kind if value is None else f'of type {kind}'}, so it has no field '{field}'")


def not_bool(text: str, value: Any) -> Unanswered:
    """What is said of a test that is not a bool."""
    return Unanswered(f"{text} is of type {operators.type_name(value)}, not true or false")
