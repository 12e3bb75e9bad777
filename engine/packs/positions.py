"""Where the characters of a YAML scalar stand in the text it was read from."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Protocol

from engine.errors import Location

_BREAKS = "\n\r\x85\u2028\u2029"
_LINE_END = re.compile(f"\r\n|[{_BREAKS}]")
_INDENT = re.compile(f"[{_BREAKS}]([ \t]+)")
_PROPERTIES = re.compile(r"(?:[&!]\S*\s+)+")
_ESCAPES = {"x": 4, "u": 6, "U": 10}


class Scalar(Protocol):
    """What must be known of a scalar: its value's text, its YAML style, and its first and last place in the source."""

    line: int
    column: int
    text: str | None
    style: str
    decorated: bool
    end: tuple[int, int]


class Positions:
    """Places in one text. `place` gives the Location of a line and a column (from 1) of that text."""

    def __init__(self, text: str, place: Callable[[int, int], Location]) -> None:
        self._text, self._place = text, place
        self._starts: list[int] = []

    def at(self, line: int, column: int) -> Location:
        """The Location of a line and a column of the text."""
        return self._place(line, column)

    def of_offset(self, offset: int) -> Location:
        """The Location of an offset of the text."""
        starts = self._line_starts()
        line = bisect_right(starts, offset)
        return self._place(line, offset - starts[line - 1] + 1)

    def inside(self, scalar: Scalar) -> Callable[[int, int], Location]:
        """How a line and a column (from 1) of a scalar's value map to a Location."""
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

    def _offsets(self, scalar: Scalar, value: str) -> Iterator[int]:
        """The source's offset of each character of a value, and of the one after its end."""
        begin = self._offset(scalar.line, scalar.column)
        end = max(begin, self._offset(*scalar.end))
        if scalar.decorated and (properties := _PROPERTIES.match(self._text, begin, end)):
            begin = properties.end()
        if scalar.style in ("|", ">"):
            yield from _align(self._text, self._block(begin, end, value), value, "")
        else:
            begin += scalar.style in ("'", '"')
            yield from _align(self._text, self._flow(begin, max(end, begin + 1)), value, scalar.style)

    def _flow(self, begin: int, end: int) -> Sequence[int]:
        """The offsets of a scalar's characters, without the indentation of its further lines."""
        if not _LINE_END.search(self._text, begin, end):
            return range(begin, end)
        indents = [range(found.end() - len(found[1]), found.end()) for found in _INDENT.finditer(self._text, begin, end)]
        dropped = {offset for indent in indents for offset in indent}
        return [offset for offset in range(begin, end) if offset not in dropped]

    def _block(self, begin: int, end: int, value: str) -> list[int]:
        """The offsets of a block scalar's characters, without the header and without the indentation."""
        header = _LINE_END.search(self._text, begin)
        at = header.end() if header else end
        lines: list[tuple[int, int]] = []
        while at < end:
            found = _LINE_END.search(self._text, at, end)
            stop = found.end() if found else end
            lines.append((at, stop))
            at = stop
        indent = _first_indent(self._text[start:stop] for start, stop in lines) - _first_indent(value.splitlines(keepends=True))
        kept = [range(min(start + indent, _content_end(self._text, start, stop)), stop) for start, stop in lines]
        return [offset for offsets in kept for offset in offsets] or [begin]

    def _offset(self, line: int, column: int) -> int:
        starts = self._line_starts()
        return min(starts[min(line, len(starts)) - 1] + column - 1, len(self._text))

    def _line_starts(self) -> list[int]:
        if not self._starts:
            self._starts = [0, *(found.end() for found in _LINE_END.finditer(self._text))]
        return self._starts


def _first_indent(lines: Iterable[str]) -> int:
    for line in lines:
        if line.strip():
            return len(line) - len(line.lstrip(" "))
    return 0


def _content_end(text: str, start: int, stop: int) -> int:
    """Where a line's own characters end and its line break begins."""
    while stop > start and text[stop - 1] in _BREAKS:
        stop -= 1
    return stop


def _align(text: str, source: Sequence[int], value: str, style: str) -> Iterator[int]:
    """For each character of a value the offset it was written at: escapes count as one, folded white space is passed over."""
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
