"""A YAML document as plain data, and the place of everything in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from engine.cel import Path
from engine.errors import Location
from engine.packs.positions import Positions


@dataclass(slots=True)
class Node:
    """A value and its place (line and column from 1); `text` is a scalar's own, `children` what a collection holds."""

    line: int
    column: int
    value: Any = None
    text: str | None = None
    style: str = ""
    decorated: bool = False
    end: tuple[int, int] = (0, 0)
    children: dict[str | int, Node] = field(default_factory=dict)
    keys: dict[str, Node] = field(default_factory=dict)
    merged: list[Node] = field(default_factory=list)
    weight: int = 1
    height: int = 1

    def take_merged(self) -> None:
        """Put the entries of merged mappings before the own ones; of several with one key the own, else the first, counts."""
        for attribute in ("value", "children", "keys"):
            together: dict[Any, Any] = {}
            for source in reversed(self.merged):
                together.update(getattr(source, attribute))
            setattr(self, attribute, {**together, **getattr(self, attribute)})


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document: its plain value, and where everything in it stands."""

    value: Any
    _root: Node
    _positions: Positions

    def locate(self, path: Path, line: int = 1, column: int = 1) -> Location:
        """The place of a value, or of a place inside the scalar at `path`; of the nearest existing parent where it is missing."""
        return self.within(path)(line, column)

    def within(self, path: Path) -> Callable[[int, int], Location]:
        """How places inside the scalar at `path` map to places of the outer file, for a text inside a text."""
        node = self._nearest(path)
        if node.text is None:
            here = self._positions.at(node.line, node.column)
            return lambda line, column: here
        return self._positions.inside(node)

    def locate_key(self, path: Path) -> Location:
        """The place of the key that a path ends with."""
        key = self._nearest(path[:-1]).keys.get(str(path[-1])) if path else None
        return self._positions.at(key.line, key.column) if key else self.locate(path)

    def _nearest(self, path: Path) -> Node:
        node = self._root
        for step in path:
            child = node.children.get(step)
            if child is None:
                break
            node = child
        return node
