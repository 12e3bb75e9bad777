"""The pieces of an evaluation: what it carries along, and how calls, fields and logic are put together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from engine.cel.budget import LONG, LimitReached, comparison, searching
from engine.cel.declarations import Caller, Chosen, Compute, Cost
from engine.cel.documents import below, find, pattern_of_data, regular_expression
from engine.cel.libraries.optionals import optional_key
from engine.cel.program import Scope
from engine.cel.values import Mismatch, Optional, type_name
from engine.errors import Unanswered
from engine.model.mappings import is_mapping


class Frame:
    """One evaluation: its scope, and the variables that macros have bound."""

    __slots__ = ("locals", "scope")

    def __init__(self, scope: Scope, slots: int) -> None:
        self.scope = scope
        self.locals: list[Any] = [None] * slots


Closure = Callable[[Frame], Any]


def called(text: str, caller: Caller, closures: list[Closure], certain: Chosen | None) -> Closure:
    """A call, whose Mismatch becomes an Unanswered that quotes the source, at the cost that its function has.

    `certain` is what computes it whatever the arguments are, where that is known.
    """
    if len(closures) == 2 and certain is not None:
        return _certain_with_two(text, *certain, *closures)
    if len(closures) == 2:
        return _called_with_two(text, caller, *closures)
    if len(closures) == 1:
        return _called_with_one(text, caller, *closures)
    chosen, choose = caller.chosen, caller.choose

    def call(frame: Frame) -> Any:
        try:
            arguments = [closure(frame) for closure in closures]
            compute, cost = chosen.get(tuple(map(type, arguments))) or choose(*arguments)
            if cost is not None:
                frame.scope.budget.spend(cost(*arguments))
            return compute(*arguments)
        except Mismatch as fault:
            raise Unanswered(f"{text}: {fault}") from None

    return call


def _called_with_one(text: str, caller: Caller, only: Closure) -> Closure:
    chosen, choose = caller.chosen, caller.choose

    def call(frame: Frame) -> Any:
        try:
            argument = only(frame)
            compute, cost = chosen.get((type(argument),)) or choose(argument)
            if cost is not None and (units := cost(argument)):
                frame.scope.budget.spend(units)
            return compute(argument)
        except Mismatch as fault:
            raise Unanswered(f"{text}: {fault}") from None

    return call


def _certain_with_two(text: str, compute: Compute, cost: Cost | None, left: Closure, right: Closure) -> Closure:
    def call(frame: Frame) -> Any:
        try:
            first, second = left(frame), right(frame)
            if cost is not None and (units := cost(first, second)):
                frame.scope.budget.spend(units)
            return compute(first, second)
        except Mismatch as fault:
            raise Unanswered(f"{text}: {fault}") from None

    return call


def _called_with_two(text: str, caller: Caller, left: Closure, right: Closure) -> Closure:
    chosen, choose = caller.chosen, caller.choose

    def call(frame: Frame) -> Any:
        try:
            first, second = left(frame), right(frame)
            compute, cost = chosen.get((type(first), type(second))) or choose(first, second)
            if cost is not None and (units := cost(first, second)):
                frame.scope.budget.spend(units)
            return compute(first, second)
        except Mismatch as fault:
            raise Unanswered(f"{text}: {fault}") from None

    return call


def unknown(text: str, name: str) -> Closure:
    """A call of a function that nobody has declared: no answer, wherever it is needed."""

    def call(frame: Frame) -> Any:
        raise Unanswered(f"{text}: there is no function {name}()")

    return call


def searched(text: str, caller: Caller, closures: list[Closure], compute: Callable[..., Any], *, own: bool) -> Closure:
    """A call with a regular expression that stands in the text (`own`), or with one that comes from data."""
    of_value, of_pattern, *of_rest = closures

    def call(frame: Frame) -> Any:
        value, pattern = of_value(frame), of_pattern(frame)
        rest = [closure(frame) for closure in of_rest] if of_rest else ()
        try:
            if type(value) is not str or type(pattern) is not str or rest:
                caller.choose(value, pattern, *rest)  # which says what does not fit
            if not own:
                frame.scope.budget.compile(pattern)
            compiled = regular_expression(pattern) if own else pattern_of_data(pattern)
            if units := searching(value, compiled.programsize):
                frame.scope.budget.spend(units)
            return compute(value, compiled, *rest)
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


def element(text: str, caller: Caller, container: Closure, key: Closure) -> Closure:
    """`container[key]`; a field that is missing is told as one."""
    chosen, choose = caller.chosen, caller.choose

    def call(frame: Frame) -> Any:
        value, index = container(frame), key(frame)
        if type(index) is str and is_mapping(value):
            if index in value:
                return value[index]
            raise Unanswered(f"{text} has no field '{index}'")
        try:
            compute, _ = chosen.get((type(value), type(index))) or choose(value, index)
            return compute(value, index)
        except Mismatch as fault:
            raise Unanswered(f"{text}: {fault}") from None

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


def selector(text: str, operand: Closure, field: str) -> Closure:
    """`operand.field`, also of what an optional holds, which is an optional again."""

    def select(frame: Frame) -> Any:
        value = operand(frame)
        if is_mapping(value):
            if field in value:
                return value[field]
            raise Unanswered(f"{text} has no field '{field}'")
        if type(value) is Optional:
            try:
                return optional_key(value, field)
            except Mismatch as fault:
                raise Unanswered(f"{text}: {fault}") from None
        raise no_fields(text, value, field)

    return select


def tester(text: str, operand: Closure, field: str) -> Closure:
    """`has(operand.field)`."""

    def has(frame: Frame) -> bool:
        value = operand(frame)
        if type(value) is Optional:
            if not value.present:
                return False
            value = value.value
        if is_mapping(value):
            return field in value
        raise no_fields(text, value, field)

    return has


def fixed_getter(value: Closure, steps: tuple[str, ...], default: Closure) -> Closure:
    """`get()` with a path that stands in the text."""

    def get(frame: Frame) -> Any:
        found = below(value(frame), steps)
        return default(frame) if found is None else found

    return get


def getter(text: str, value: Closure, path: Closure, default: Closure) -> Closure:
    """`get()` with a path that is computed; the default is evaluated only where it is needed."""

    def get(frame: Frame) -> Any:
        try:
            found = find(value(frame), path(frame))
        except Mismatch as fault:
            raise Unanswered(f"{text}: {fault}") from None
        return default(frame) if found is None else found

    return get


def binder(slot: int, value: Closure, body: Closure) -> Closure:
    """`cel.bind`: the body, for which a variable has a value."""

    def bind(frame: Frame) -> Any:
        frame.locals[slot] = value(frame)
        return body(frame)

    return bind


def conditional(text: str, condition: Closure, then: Closure, otherwise: Closure) -> Closure:
    """`condition ? then : otherwise`."""

    def choose(frame: Frame) -> Any:
        value = condition(frame)
        return then(frame) if value is True else otherwise(frame) if value is False else truth(value, text)

    return choose


def logical(closures: list[Closure], texts: list[str], *, decisive: bool) -> Closure:
    """`||` (decisive: true) or `&&` (false): the decisive value wins, even over parts that have no answer."""
    parts = list(zip(closures, texts, strict=True))
    return lambda frame: decide(frame, parts, decisive)


def decide(frame: Frame, parts: Iterable[tuple[Closure, str]], decisive: bool) -> bool:
    """The decisive value where a part has it, otherwise the other one. Raises what the first part without answer raised."""
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
    kind = type_name(value)
    return Unanswered(f"{text} is {kind if value is None else f'of type {kind}'}, so it has no field '{field}'")


def not_bool(text: str, value: Any) -> Unanswered:
    """What is said of a test that is not a bool."""
    return Unanswered(f"{text} is of type {type_name(value)}, not true or false")
