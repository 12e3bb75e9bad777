"""How literals of lists and maps, and the macros that go through them, are evaluated."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from engine.cel.closures import Closure, Frame, decide, truth
from engine.cel.syntax import Comprehension
from engine.cel.values import Mismatch, Optional, of_key, sorted_keys, to_key, type_name
from engine.errors import EvaluationError

Each = Callable[[Frame], Iterator[Any]]


def each_item(domain_of: Closure, slot: int, text: str, cost: int) -> Each:
    """Goes through the items of a list or the keys of a map, each in turn being the value of a variable, at a cost for each."""

    def each(frame: Frame) -> Iterator[Any]:
        value = domain_of(frame)
        items = value if type(value) is list else _keys(value, text)
        spend, variables = frame.scope.budget.spend, frame.locals
        for item in items:
            spend(cost)
            variables[slot] = item
            yield item

    return each


def each_entry(domain_of: Closure, slot: int, second: int, text: str, cost: int) -> Each:
    """Goes through the indexes and items of a list, or the keys and values of a map; yields the index or key."""

    def each(frame: Frame) -> Iterator[Any]:
        value = domain_of(frame)
        items = list(enumerate(value)) if type(value) is list else [(key, value[to_key(key)]) for key in _keys(value, text)]
        spend, variables = frame.scope.budget.spend, frame.locals
        for key, item in items:
            spend(cost)
            variables[slot], variables[second] = key, item
            yield key

    return each


def _keys(value: Any, text: str) -> list[Any]:
    if isinstance(value, Mapping):
        return sorted_keys(value)
    raise EvaluationError(f"{text}: there is nothing to go through in a value of type {type_name(value)}")


def comprehension(node: Comprehension, each: Each, body: tuple[Closure, str], condition: tuple[Closure, str] | None) -> Closure:
    """What a macro gives that goes through its domain by `each`; body and condition come with their source."""
    compute, text = body
    kept = _kept(each, *condition) if condition is not None else each
    match node.macro:
        case "all" | "exists":
            decisive = node.macro == "exists"
            return lambda frame: decide(frame, ((compute, text) for _ in each(frame)), decisive)
        case "exists_one":
            return lambda frame: sum([truth(compute(frame), text) for _ in each(frame)]) == 1
        case "filter":
            return lambda frame: [item for item in each(frame) if truth(compute(frame), text)]
        case "map" | "transformList":
            return lambda frame: [compute(frame) for _ in kept(frame)]
        case "transformMap":
            return lambda frame: {to_key(key): compute(frame) for key in kept(frame)}
        case "transformMapEntry":
            return _entries(kept, compute, text)
        case macro:
            raise AssertionError(macro)


def _kept(each: Each, condition: Closure, text: str) -> Each:
    """Goes through what a condition is true of."""

    def kept(frame: Frame) -> Iterator[Any]:
        for item in each(frame):
            if truth(condition(frame), text):
                yield item

    return kept


def _entries(each: Each, body: Closure, text: str) -> Closure:
    """One map of the maps that the body gives."""

    def build(frame: Frame) -> dict[Any, Any]:
        result: dict[Any, Any] = {}
        for _ in each(frame):
            entries = body(frame)
            if not isinstance(entries, Mapping):
                raise EvaluationError(f"{text} is of type {type_name(entries)}, not a map of the entry")
            for key, value in entries.items():
                if key in result:
                    raise EvaluationError(f"{text}: the key {of_key(key)!r} stands twice")
                result[key] = value
        return result

    return build


def list_of(items: list[tuple[Closure, bool]], text: str) -> Closure:
    """A list literal; an optional item is left out where it is none."""
    if not any(optional for _, optional in items):
        closures = [closure for closure, _ in items]
        return lambda frame: [closure(frame) for closure in closures]

    def build(frame: Frame) -> list[Any]:
        result = []
        for closure, optional in items:
            value = _optional(closure(frame), text) if optional else Optional(closure(frame))
            if value.present:
                result.append(value.value)
        return result

    return build


def map_of(entries: list[tuple[Closure, Closure, bool]], text: str) -> Closure:
    """A map literal; an optional entry is left out where it is none."""

    def build(frame: Frame) -> dict[Any, Any]:
        result: dict[Any, Any] = {}
        for key_closure, value_closure, optional in entries:
            try:
                key = to_key(key_closure(frame))
            except Mismatch as fault:
                raise EvaluationError(f"{text}: {fault}") from None
            if key in result:
                raise EvaluationError(f"{text}: the key {of_key(key)!r} stands twice")
            value = value_closure(frame)
            if not optional:
                result[key] = value
            elif (entry := _optional(value, text)).present:
                result[key] = entry.value
        return result

    return build


def _optional(value: Any, text: str) -> Optional:
    if type(value) is Optional:
        return value
    raise EvaluationError(f"{text}: what stands after '?' is of type {type_name(value)}, not an optional")
