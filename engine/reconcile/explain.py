"""Why a rule fires for an object or does not: each condition with the values that it read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from engine.cel import Program, Scope, fields_of
from engine.errors import EvaluationError
from engine.model.text import field_text
from engine.packs.rule import Rule


@dataclass(frozen=True, slots=True)
class Value:
    """A value that an expression read: where, and what; `there` is false where there is nothing, or no answer."""

    path: str
    value: Any = None
    there: bool = True


@dataclass(frozen=True, slots=True)
class Clause:
    """One condition: its text, whether it is true (None: it has no answer, and `doubt` says why), and what it read.

    After one that is false `doubt` is '': such a condition often relies on those before it, and decides nothing.
    """

    source: str
    holds: bool | None
    doubt: str
    values: tuple[Value, ...]


def clauses(rule: Rule, scope: Scope) -> Iterator[Clause]:
    """Every condition of a rule; all are evaluated, also after one that is false."""
    decided = False
    for program in rule.when:
        try:
            holds = program.condition(scope)
            decided |= not holds
            yield Clause(program.source, holds, "", values_of(program, scope))
        except EvaluationError as unanswered:
            yield Clause(program.source, None, "" if decided else str(unanswered), values_of(program, scope))


def values_of(program: Program, scope: Scope) -> tuple[Value, ...]:
    """What an expression reads, without whole objects; vars with what they in turn come to."""
    reads = {fields_of(path) for path in program.reads}
    paths = sorted(path for path in reads if len(path) > 1 or path[0] not in ("object", "oldObject"))
    return tuple(_value(path, scope) for path in paths)


def value_of(program: Program | None, scope: Scope) -> Value | None:
    """What an expression comes to, None where there is no expression."""
    if program is None:
        return None
    try:
        return Value(program.source, program.evaluate(scope))
    except EvaluationError as unanswered:
        return Value(program.source, str(unanswered), there=False)


def _value(path: tuple[str, ...], scope: Scope) -> Value:
    name = field_text(path)
    try:
        value = scope.var(path[1]) if path[0] == "vars" else scope.value(path[0])
    except EvaluationError as unanswered:
        return Value(name, str(unanswered), there=False)
    for step in path[2 if path[0] == "vars" else 1 :]:
        if not isinstance(value, Mapping) or step not in value:
            return Value(name, None, there=False)
        value = value[step]
    return Value(name, value)
