"""Reads messages of protobuf's text format, without their descriptors: each field by its name, with all the values that it has.

The format is that of protobuf.dev/reference/protobuf/textformat-spec. A scalar stays what it is in the text: a name,
         a number or bytes.
"""

from __future__ import annotations

import re
from typing import Any

Message = dict[str, list[Any]]

_TOKEN = re.compile(
    rb"""\s+|\#[^\n]*|(?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|(?P<word>[-+]?[A-Za-z0-9_./]+(?:[-+](?<=[eE][-+])\d+)?)"""
    rb"""|(?P<sign>-)|(?P<mark>[\[\]{}<>:,;])"""
)
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|[xX][0-9a-fA-F]{1,2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", re.DOTALL)
_NAMED = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


def read(text: bytes) -> Message:
    """The message of a text. Raises ValueError where it is none."""
    reader = _Reader(text)
    message = reader.message(b"")
    return message


class _Reader:
    def __init__(self, text: bytes) -> None:
        self._tokens: list[tuple[str, bytes]] = []
        at = 0
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise ValueError(f"unexpected text at offset {at}: {text[at : at + 40]!r}")
            if match.lastgroup:
                self._tokens.append((match.lastgroup, match[0]))
            at = match.end()
        self._at = 0

    def _peek(self) -> tuple[str, bytes]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("mark", b"")

    def _next(self) -> tuple[str, bytes]:
        self._at += 1
        return self._tokens[self._at - 1]

    def message(self, end: bytes) -> Message:
        """The fields up to a closing bracket."""
        fields: Message = {}
        while self._peek() != ("mark", end):
            kind, name = self._next()
            if name == b"[":  # an extension, or what an Any holds
                (kind, name), _ = self._next(), self._next()
            if kind != "word":
                raise ValueError(f"{name!r} is no field")
            if self._peek() == ("mark", b":"):
                self._next()
            fields.setdefault(name.decode(), []).extend(self._values())
            if self._peek() in (("mark", b","), ("mark", b";")):
                self._next()
        if end:
            self._next()
        return fields

    def _values(self) -> list[Any]:
        if self._peek() != ("mark", b"["):
            return [self._value()]
        self._next()
        found = []
        while self._peek() != ("mark", b"]"):
            found.append(self._value())
            if self._peek() == ("mark", b","):
                self._next()
        self._next()
        return found

    def _value(self) -> Any:
        kind, token = self._next()
        if kind == "mark" and token in b"{<":
            return self.message(b"}" if token == b"{" else b">")
        if kind == "string":
            found = _unescaped(token[1:-1])
            while self._peek()[0] == "string":
                found += _unescaped(self._next()[1][1:-1])
            return found
        if kind == "sign":
            return "-" + self._next()[1].decode()
        return token.decode()


def _unescaped(text: bytes) -> bytes:
    def replace(match: re.Match[bytes]) -> bytes:
        escape = match[1]
        if escape in _NAMED:
            return _NAMED[escape]
        if escape[:1].isdigit():
            return bytes([int(escape, 8)])
        if escape[:1] in b"xX" and len(escape) > 1:
            return bytes([int(escape[1:], 16)])
        return chr(int(escape[1:], 16)).encode() if escape[:1] in b"uU" and len(escape) > 1 else escape

    return _ESCAPE.sub(replace, text)
