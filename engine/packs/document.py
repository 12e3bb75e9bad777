"""What a user wrote as plain data, and the location of everything in it: in YAML down to the characters of each scalar."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, Protocol

from engine.cel import Path
from engine.errors import Location

Locate = Callable[[int, int], Location]
"""Gives the Location of a line and a column (from 1) of some text."""

_BREAKS = "\n\r\x85\u2028\u2029"
_LINE_END = re.compile(f"\r\n|[{_BREAKS}]")
_INDENT = re.compile(f"[{_BREAKS}]([ \t]+)")
_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)+")
_COMMENT = re.compile(f"[ \t]*(?<=[ \t])(#[^{_BREAKS}]*)")
_ESCAPES = {"x": 4, "u": 6, "U": 10}


@dataclass(slots=True)
class Node:
    """A value and its line and column (from 1); `text` is a scalar's own, `children` what a collection holds.

    `decorated` scalars have an anchor or a tag before them; `weight` and `height` are those of the value written out.
    """

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


class Document(Protocol):
    """A document that a user wrote: its plain value, and where everything in it stands."""

    @property
    def value(self) -> Any:
        """Its plain value."""

    def locate(self, path: Path, line: int = 1, column: int = 1) -> Location:
        """Return the location of a value, or of a line and column inside the scalar at `path`.

        Where nothing stands at `path`, it is that of the nearest parent.
        """

    def within(self, path: Path) -> Locate:
        """Return how locations inside the scalar at `path` map to those of the whole, for a text inside a text."""

    def locate_key(self, path: Path) -> Location:
        """Return the location of the key that a path ends with."""


@dataclass(frozen=True, slots=True)
class ObjectDocument:
    """An object of the cluster, or a part of one. What stands in it is located by its path; `file` names the object.

    `base` leads from the object to the part.
    """

    value: Any
    file: str
    base: Path = ()

    def locate(self, path: Path, line: int = 1, column: int = 1) -> Location:
        """Return the location of a value, or of a line and column inside the text at `path`.

        What may be a list has no number where it is written as one value.
        """
        steps, value = [*self.base], self.value
        for step in path:
            if isinstance(step, str) or value is None or isinstance(value, list):
                steps.append(step)
                value = _below(value, step)
        return Location(self.file, line, column, shown_path(tuple(steps)))

    def within(self, path: Path) -> Locate:
        """Return how locations inside the text at `path` map to those of the object."""
        return partial(self.locate, path)

    def locate_key(self, path: Path) -> Location:
        """Return the location of the key that a path ends with."""
        return self.locate(path)


def _below(value: Any, step: str | int) -> Any:
    """Return what a step leads to, None where there is nothing."""
    try:
        return value[step]
    except (KeyError, IndexError, TypeError):
        return None


def shown_path(path: Path) -> str:
    """Return a path as the API server writes one, such as `spec.rules[0].vars.name` or `metadata.labels[a/b]`."""
    parts = []
    for step in path:
        plain = isinstance(step, str) and re.fullmatch(r"[A-Za-z_][\w-]*", step)
        parts.append(f".{step}" if plain else f"[{step}]")
    return "".join(parts).removeprefix(".")


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """One YAML document of a text; `namespace` is what the manifest that it is, or is in, says, '' where that is nothing."""

    value: Any
    _root: Node
    _positions: Positions
    namespace: str = ""

    def locate(self, path: Path, line: int = 1, column: int = 1) -> Location:
        """Return the location of a value, or of a line and column inside the scalar at `path`.

        Where nothing stands at `path`, it is that of the nearest parent.
        """
        return self.within(path)(line, column)

    def within(self, path: Path) -> Locate:
        """Return how locations inside the scalar at `path` map to those of the outer file, for a text inside a text."""
        node = self._nearest(path)
        if node.text is None:
            here = self._positions.at(node.line, node.column)
            return lambda line, column: here
        return self._positions.inside(node)

    def locate_key(self, path: Path) -> Location:
        """Return the location of the key that a path ends with."""
        key = self._nearest(path[:-1]).keys.get(str(path[-1])) if path else None
        return self._positions.at(key.line, key.column) if key else self.locate(path)

    def part(self, path: Path, value: Any) -> YamlDocument:
        """Return the document that a part of this one is, such as an item of a list; `value` is its plain value."""
        return YamlDocument(value, self._nearest(path), self._positions)

    def text_at(self, path: Path) -> str:
        """Return a scalar as it is written, '' where a path leads to none."""
        return self._nearest(path).text or ""

    def plain_texts(self) -> Iterator[tuple[Location, str]]:
        """Yield each text that is written without quotes, keys included, with its location."""
        waiting = [self._root]
        while waiting:
            node = waiting.pop()
            if node.text is not None and not node.style and not node.decorated and isinstance(node.value, str):
                yield self._positions.at(node.line, node.column), node.text
            waiting += [*reversed(node.children.values()), *reversed(node.keys.values())]

    def cut_texts(self) -> Iterator[tuple[Location, str, str]]:
        """Yield each value without quotes behind which a comment stands: where that begins, the text, and the comment."""
        waiting = [self._root]
        while waiting:
            node = waiting.pop()
            plain = node.text is not None and not node.style and isinstance(node.value, str)
            if plain and (behind := self._positions.comment(node)):
                yield behind[0], node.text or "", behind[1]
            waiting += reversed(node.children.values())

    def _nearest(self, path: Path) -> Node:
        node = self._root
        for step in path:
            child = node.children.get(step)
            if child is None:
                break
            node = child
        return node


class Positions:
    """Locations of what stands in one text; `at` gives that of a line and a column of it."""

    def __init__(self, text: str, at: Locate) -> None:
        self.at = at
        self._text = text
        self._starts: list[int] = []

    def of_offset(self, offset: int) -> Location:
        """Return the location of an offset of the text."""
        starts = self._line_starts()
        line = bisect_right(starts, offset)
        return self.at(line, offset - starts[line - 1] + 1)

    def comment(self, scalar: Node) -> tuple[Location, str] | None:
        """Return the comment behind a scalar, with its location; None where there is none."""
        found = _COMMENT.match(self._text, self._offset(*scalar.end))
        return (self.of_offset(found.start(1)), found[1]) if found else None

    def inside(self, scalar: Node) -> Locate:
        """Return how a line and a column of a scalar's value map to a location."""
        value = scalar.text or ""
        lines = [0, *(found.end() for found in re.finditer("\n", value))]
        offsets: list[int] = []
        further = self._offsets(scalar, value)

        def locate(line: int, column: int) -> Location:
            start = lines[min(max(line, 1), len(lines)) - 1]
            wanted = min(start + max(column, 1) - 1, len(value))
            offsets.extend(islice(further, max(0, wanted + 1 - len(offsets))))
            return self.of_offset(offsets[wanted])

        return locate

    def _offsets(self, scalar: Node, value: str) -> Iterator[int]:
        """Yield the offset in the text of each character of a value, and of the one after its end."""
        begin = self._offset(scalar.line, scalar.column)
        end = max(begin, self._offset(*scalar.end))
        if scalar.decorated and (properties := _PROPERTIES.match(self._text, begin, end)):
            begin = properties.end()
        if scalar.style in ("|", ">"):
            return _align(self._text, self._block(begin, end, value), value, "")
        begin += scalar.style in ("'", '"')
        return _align(self._text, self._flow(begin, max(end, begin + 1)), value, scalar.style)

    def _flow(self, begin: int, end: int) -> Sequence[int]:
        """Return the offsets of a scalar's characters, without the indentation of its further lines."""
        if not _LINE_END.search(self._text, begin, end):
            return range(begin, end)
        indents = [range(*found.span(1)) for found in _INDENT.finditer(self._text, begin, end)]
        dropped = {offset for indent in indents for offset in indent}
        return [offset for offset in range(begin, end) if offset not in dropped]

    def _block(self, begin: int, end: int, value: str) -> list[int]:
        """Return the offsets of a block scalar's characters, without the header and without the indentation."""
        header = _LINE_END.search(self._text, begin)
        at = header.end() if header else end
        texts: list[tuple[int, str]] = []
        while at < end:
            found = _LINE_END.search(self._text, at, end)
            stop = found.end() if found else end
            texts.append((at, self._text[at:stop]))
            at = stop
        indent = _first_indent(text for _, text in texts) - _first_indent(value.splitlines(keepends=True))
        kept = [range(start + min(indent, len(text.rstrip(_BREAKS))), start + len(text)) for start, text in texts]
        return [offset for offsets in kept for offset in offsets] or [begin]

    def _offset(self, line: int, column: int) -> int:
        starts = self._line_starts()
        return min(starts[min(line, len(starts)) - 1] + column - 1, len(self._text))

    def _line_starts(self) -> list[int]:
        if not self._starts:
            self._starts = [0, *(found.end() for found in _LINE_END.finditer(self._text))]
        return self._starts


def _first_indent(lines: Iterable[str]) -> int:
    return next((len(line) - len(line.lstrip(" ")) for line in lines if line.strip()), 0)


def _align(text: str, source: Sequence[int], value: str, style: str) -> Iterator[int]:
    """Yield the offset at which each character of a value was written.

    Escapes count as one character, and the white space that folding drops is passed over.
    """
    at = 0
    for char in value:
        while at < len(source) - 1:
            here = text[source[at]]
            if here == char or (style and here in "'\\"):
                if here == "\\" and style == '"' and text[source[at + 1]] in _BREAKS:
                    at += 2
                    continue
                break
            if not here.isspace() or (char == " " and here in _BREAKS):
                break
            at += 1
        yield source[min(at, len(source) - 1)]
        at += _written_length(text, source[min(at, len(source) - 1)], style)
    yield source[at] if at < len(source) else source[-1] + 1


def _written_length(text: str, offset: int, style: str) -> int:
    following = text[offset + 1 : offset + 2]
    if style == '"' and text[offset] == "\\":
        return _ESCAPES.get(following, 2)
    return 2 if style == "'" and text[offset] == "'" and following == "'" else 1
