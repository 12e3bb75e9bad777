"""Answers of the API server as JSON, of which an object that cannot be decoded spoils no other one.

An API server takes objects of up to 10,000 levels (Go's encoding/json, maxNestingDepth), orjson 1,024; numbers and
bytes that orjson refuses can come from an aggregated API. So what cannot be decoded as a whole is taken apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[{}\[\],:]', re.DOTALL)
EXPECTED = "at most 1,024 levels of nesting, text in UTF-8 and numbers that a double can hold"
"""What can be decoded."""
_NAMING = ("name", "namespace", "uid", "resourceVersion")


class Undecodable(NamedTuple):
    """An object that cannot be decoded: `object` is no more than what names it, `reason` says why."""

    object: dict[str, Any]
    reason: str


def decoded_list(text: bytes) -> tuple[dict[str, Any], list[Undecodable]] | None:
    """Return a list of the API server with the items that can be decoded, and the others; None where it is no such list."""
    members = _members(text)
    if members is None or "items" not in members:
        return None
    found: dict[str, Any] = {}
    broken: list[Undecodable] = []
    try:
        found = {key: orjson.loads(part) for key, part in members.items() if key != "items"}
    except orjson.JSONDecodeError:
        return None
    found["items"] = []
    for part in _elements(members["items"]):
        try:
            found["items"].append(orjson.loads(part))
        except orjson.JSONDecodeError as error:
            named = _named(part)
            if named is None:
                return None
            broken.append(Undecodable(named, str(error)))
    return found, broken


def decoded_event(text: bytes) -> tuple[str, Undecodable] | None:
    """Return the type of an event of a watch, and its object, which cannot be decoded; None where it is no such event."""
    members = _members(text)
    if members is None or not {"type", "object"} <= members.keys():
        return None
    try:
        kind, reason = orjson.loads(members["type"]), ""
        orjson.loads(members["object"])
    except orjson.JSONDecodeError as error:
        reason = str(error)
    named = _named(members["object"])
    return None if named is None or not reason or not isinstance(kind, str) else (kind, Undecodable(named, reason))


def undecodable(text: bytes) -> Undecodable | None:
    """Return what names the one object that a text is and that cannot be decoded; None where a text is no whole object."""
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError as error:
        named = _named(text)
        return Undecodable(named, str(error)) if named and "name" in named["metadata"] else None
    return None


def _named(text: bytes) -> dict[str, Any] | None:
    """Return what names an object, None where that cannot be read either."""
    members = _members(text)
    meta = None if members is None else _members(members.get("metadata", b""))
    if members is None or meta is None:
        return None
    try:
        top: dict[str, Any] = {key: orjson.loads(members[key]) for key in ("apiVersion", "kind") if key in members}
        return {**top, "metadata": {key: orjson.loads(meta[key]) for key in _NAMING if key in meta}}
    except orjson.JSONDecodeError:
        return None


def _members(text: bytes) -> dict[str, bytes] | None:
    """Return the texts of the members of an object by their keys, None where a text is no whole object."""
    members: dict[str, bytes] = {}
    for part in _parts(text, b"{"):
        key, colon, value = _key(part)
        if not colon:
            return None
        members[key] = value
    return members or None


def _key(part: bytes) -> tuple[str, bool, bytes]:
    match = _TOKEN.search(part)
    if match is None or not match[0].startswith(b'"'):
        return "", False, b""
    colon = _TOKEN.search(part, match.end())
    if colon is None or colon[0] != b":":
        return "", False, b""
    return match[0][1:-1].decode(errors="replace"), True, part[colon.end() :].strip()


def _elements(text: bytes) -> Iterator[bytes]:
    """Yield the texts of the elements of a list; nothing where it is none."""
    return _parts(text, b"[")


def _parts(text: bytes, opening: bytes) -> Iterator[bytes]:
    """Yield what stands between the commas of an object or a list; nothing where a text is not all of one."""
    text = text.strip()
    parts, depth, start = [], 0, 1
    if not text.startswith(opening):
        return
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token in (b"{", b"["):
            depth += 1
        elif token in (b"}", b"]"):
            depth -= 1
            if depth == 0:
                if match.end() != len(text):
                    return
                if last := text[start : match.start()].strip():
                    parts.append(last)
                yield from parts
                return
        elif token == b"," and depth == 1:
            parts.append(text[start : match.start()].strip())
            start = match.end()
