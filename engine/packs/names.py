"""The names that expressions of a pack may use: what is declared, and in which order."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from engine.cel import Cel, Compiler, Path, Program
from engine.cel.syntax import place
from engine.errors import ExpressionError
from engine.packs.wording import suggestion

#: What every expression of a rule sees. `target`, the loop's variable, `results` and `error` come where they have a value.
VARIABLES = frozenset(["object", "oldObject", "params", "inputs", "inputErrors", "vars", "flags", "lookup", "now"])

#: What the actions of an aggregate see: there the object is the target of a group.
GROUP_VARIABLES = frozenset(["object", "target", "group", "groupKey", "params", "flags", "now"])


class DeclaredNames:
    """A compiler of expressions that also refuses `params.x`, `inputs.x` and the like where no x is declared."""

    def __init__(self, cel: Cel, declared: Mapping[str, Collection[str]]) -> None:
        self._cel, self._declared = cel, declared

    def compile(self, text: str, variables: Collection[str]) -> Program:
        """Compile an expression. Raises ExpressionError."""
        program = self._cel.compile(text, variables)
        for root, *fields in sorted(program.reads):
            if fields and root in self._declared and fields[0] not in self._declared[root]:
                where = place(text, _offset(text, root, fields[0]))
                raise ExpressionError(f"{root} has no '{fields[0]}'", *where, suggestion(fields[0], self._declared[root]))
        return program

    def having(self, **declared: Collection[str]) -> DeclaredNames:
        """The same with further names."""
        return DeclaredNames(self._cel, {**self._declared, **declared})


def _offset(text: str, root: str, name: str) -> int:
    name = re.escape(name)
    found = re.search(rf"\b{root}\s*(?:\.\s*({name})\b|\[\s*['\"]({name})['\"]|\s*,\s*['\"]({name})\b)", text)
    return next(start for start in map(found.start, (1, 2, 3)) if start >= 0) if found else 0


def check_vars(programs: Mapping[str, Program], own: Collection[str], compiler: Compiler, path: Path) -> None:
    """Note a fault for each of the own vars that uses itself, in a circle or directly, or one that stands below it."""
    order = list(programs)
    told: set[str] = set()
    for number, name in enumerate(order):
        if name not in own:
            continue
        for used in _used_vars(programs[name]):
            if used not in programs or order.index(used) < number:
                continue
            circle = _way(programs, used, name)
            if circle and name not in told:
                told.update(circle)
                way = " -> ".join(f"vars.{each}" for each in (name, *circle))
                compiler.fault((*path, name), f"vars go round in a circle: {way}", "a var that does not need itself")
            elif not circle:
                compiler.fault((*path, name), f"vars.{name} uses vars.{used}, which stands below it", f"{used} above {name}")


def _way(programs: Mapping[str, Program], start: str, goal: str) -> list[str]:
    """A way from one var to another, both ends included, through what they use; empty where there is none."""
    ways = [[start]]
    seen = {start}
    while ways:
        way = ways.pop()
        if way[-1] == goal:
            return way
        for used in _used_vars(programs[way[-1]]):
            if used in programs and used not in seen:
                seen.add(used)
                ways.append([*way, used])
    return []


def needed(program: Program, programs: Mapping[str, Program], variable: str) -> str:
    """The var (`vars.x`) through which a program needs a variable, '' where it does not."""
    for name in _used_vars(program):
        if any(variable in programs[each].variables for each in programs if _way(programs, name, each)):
            return f"vars.{name}"
    return ""


def _used_vars(program: Program) -> list[str]:
    return sorted({path[1] for path in program.reads if path[0] == "vars" and len(path) > 1})
