"""The pieces of an evaluation: what it carries along, and how fields, variables and logic are put together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from engine.cel.budget import LimitReached
from engine.cel.documents import below, find
from engine.cel.libraries.optionals import field_of_optional
from engine.cel.program import Scope
from engine.cel.values import Mismatch, Optional, type_name
from engine.errors import EvaluationError
from engine.model.mappings import is_mapping


class Frame:
    """One evaluation: its scope, and the variables that macros have bound."""

    __slots__ = ("locals", "scope")

    def __init__(self, scope: Scope, slots: int) -> None:
        self.scope = scope
        self.locals: list[Any] = [None] * slots


Closure = Callable[[Frame], Any]


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
            raise EvaluationError(f"{text} has no field '{field}'")
        if type(value) is Optional:
            try:
                return field_of_optional(value, field)
            except Mismatch as fault:
                raise EvaluationError(f"{text}: {fault}") from None
        raise no_fields(text, value, field)

    return select


def tester(text: str, operand: Closure, field: str) -> Closure:
    """`has(operand.field)`: false of null and of scalars, as in cel-go, which have no fields; a list has no answer to it."""

    def has(frame: Frame) -> bool:
        value = operand(frame)
        if type(value) is Optional:
            if not value.present:
                return False
            value = value.value
        if is_mapping(value):
            return field in value
        if type(value) is list:
            raise no_fields(text, value, field)
        return False

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
            raise EvaluationError(f"{text}: {fault}") from None
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
    doubt: EvaluationError | None = None
    for closure, text in parts:
        try:
            value = closure(frame)
        except LimitReached:
            raise
        except EvaluationError as fault:
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
    """The value of a test. Raises EvaluationError, quoting the source, where it is not a bool."""
    if value is True or value is False:
        return value
    raise not_bool(text, value)


def answered(frame: Frame, name: str) -> bool:
    """`has(vars.<name>)`: whether the var has an answer."""
    try:
        frame.scope.var(name)
    except LimitReached:
        raise
    except EvaluationError:
        return False
    return True


def no_fields(text: str, value: Any, field: str) -> EvaluationError:
    """What is said of a field of something that is not a mapping."""
    kind = type_name(value)
    return EvaluationError(f"{text} is {kind if value is None else f'of type {kind}'}, so it has no field '{field}'")


def not_bool(text: str, value: Any) -> EvaluationError:
    """What is said of a test that is not a bool."""
    return EvaluationError(f"{text} is of type {type_name(value)}, not true or false")
