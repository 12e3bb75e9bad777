"""How calls are evaluated: the overload is chosen by the types of the arguments, and what it costs is counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.cel.budget import LONG, comparison, searching
from engine.cel.closures import Closure, Frame
from engine.cel.declarations import Caller, Chosen, Compute, Cost
from engine.cel.documents import pattern_of_data, regular_expression
from engine.cel.values import Mismatch, Optional
from engine.errors import EvaluationError
from engine.model.mappings import is_mapping


def called(text: str, caller: Caller, closures: list[Closure], certain: Chosen | None) -> Closure:
    """A call, whose Mismatch becomes an EvaluationError that quotes the source, at the cost that its function has.

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
            raise EvaluationError(f"{text}: {fault}") from None

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
            raise EvaluationError(f"{text}: {fault}") from None

    return call


def _certain_with_two(text: str, compute: Compute, cost: Cost | None, left: Closure, right: Closure) -> Closure:
    def call(frame: Frame) -> Any:
        try:
            first, second = left(frame), right(frame)
            if cost is not None and (units := cost(first, second)):
                frame.scope.budget.spend(units)
            return compute(first, second)
        except Mismatch as fault:
            raise EvaluationError(f"{text}: {fault}") from None

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
            raise EvaluationError(f"{text}: {fault}") from None

    return call


def alternative(text: str, caller: Caller, optional: Closure, otherwise: Closure, *, held: bool) -> Closure:
    """`or`, and with `held` `orValue`: the other one is evaluated only where an optional holds no value, as in cel-go."""

    def call(frame: Frame) -> Any:
        value = optional(frame)
        if type(value) is Optional and value.present:
            return value.value if held else value
        other = otherwise(frame)
        try:
            compute, _ = caller.choose(value, other)
            return compute(value, other)
        except Mismatch as fault:
            raise EvaluationError(f"{text}: {fault}") from None

    return call


def unknown(text: str, name: str) -> Closure:
    """A call of a function that nobody has declared: no answer, wherever it is needed."""

    def call(frame: Frame) -> Any:
        raise EvaluationError(f"{text}: there is no function {name}()")

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
            raise EvaluationError(f"{text}: {fault}") from None

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
    """`container[key]`; a missing field is an error of its own."""
    chosen, choose = caller.chosen, caller.choose

    def call(frame: Frame) -> Any:
        value, index = container(frame), key(frame)
        if type(index) is str and is_mapping(value):
            if index in value:
                return value[index]
            raise EvaluationError(f"{text} has no field '{index}'")
        try:
            compute, _ = chosen.get((type(value), type(index))) or choose(value, index)
            return compute(value, index)
        except Mismatch as fault:
            raise EvaluationError(f"{text}: {fault}") from None

    return call
