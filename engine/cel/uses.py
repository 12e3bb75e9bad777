"""Which of several named expressions use which others, and the order in which they can be evaluated.

The order in which they are written means nothing: the API server sorts the keys of a mapping.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from engine.cel.compiler import Compiler, Path
from engine.cel.program import Program
from engine.cel.queries import fields_of

Uses = Mapping[str, Collection[str]]
"""By name, the names that are used."""


def uses(named: Mapping[str, Iterable[Program]], root: str) -> dict[str, list[str]]:
    """Return which of these use which others, as `root.<name>`."""
    return {name: [used for used in used_names(programs, root) if used in named] for name, programs in named.items()}


def uses_of_vars(programs: Mapping[str, Program]) -> dict[str, list[str]]:
    """Return which vars use which others."""
    return uses({name: (program,) for name, program in programs.items()}, "vars")


def with_vars(programs: Iterable[Program], vars: Mapping[str, Program]) -> list[Program]:
    """Return programs together with all vars that they need."""
    found, needed = list(programs), set[str]()
    for program in found:
        new = [name for name in used_names((program,), "vars") if name in vars and name not in needed]
        needed.update(new)
        found += [vars[name] for name in new]
    return found


def used_names(programs: Iterable[Program], root: str) -> list[str]:
    """Return the names below `root` that programs themselves read, sorted."""
    paths = (fields_of(path) for program in programs for path in program.reads if path[0] == root)
    return sorted({path[1] for path in paths if len(path) > 1})


def way(found: Uses, start: str, goal: str) -> list[str]:
    """Return a way from one name to another, both ends included, through what they use; empty where there is none."""
    ways = [[start]]
    seen = {start}
    while ways:
        here = ways.pop()
        if here[-1] == goal:
            return here
        further = [used for used in found[here[-1]] if used not in seen]
        seen.update(further)
        ways += [[*here, used] for used in further]
    return []


def circles(found: Uses) -> Iterator[list[str]]:
    """Yield each circle, its first name at both ends; none goes through a name of one before it."""
    seen: set[str] = set()
    for name in found:
        circle = next(filter(None, (way(found, used, name) for used in found[name])), [])
        if circle and name not in seen:
            seen.update(circle)
            yield [name, *circle]


def in_order(found: Uses) -> list[str]:
    """Return the names as they are written, but each after those that it uses, as far as they go round in no circle."""
    ordered: dict[str, None] = {}

    def add(name: str, above: frozenset[str]) -> None:
        for used in found[name]:
            if used not in ordered and used not in above:
                add(used, above | {used})
        ordered[name] = None

    for name in found:
        if name not in ordered:
            add(name, frozenset([name]))
    return [*ordered]


def refuse_circles(root: str, found: Uses, own: Collection[str], compiler: Compiler, path: Path) -> None:
    """Add a fault for each circle that one of the own names, which are written at a path, is part of."""
    for circle in circles(found):
        name = next((each for each in circle if each in own), None)
        if name is not None:
            written = " -> ".join(f"{root}.{each}" for each in circle)
            compiler.fault((*path, name), f"{root} go round in a circle: {written}", "one that does not need itself")
