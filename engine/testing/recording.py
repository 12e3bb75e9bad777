"""Recordings: the changes of a cluster as lines of JSON, with what is secret taken out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.cel.documents import path_steps
from engine.cel.values import Mismatch
from engine.errors import Fault, InvalidText, Location, UsageError
from engine.model.names import misnamed
from engine.model.objects import Object, ref_of

REDACTED = "REDACTED"
LONGEST_LINE = 4 * 1024 * 1024
"""Bytes of one line: an object in etcd has at most 1.5 MiB."""
_ALWAYS = (("metadata", "managedFields"), ("metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration"))
_SECRET = (("data",), ("stringData",))


@dataclass(frozen=True, slots=True)
class Change:
    """One change: when (seconds since the epoch), and the object as it then was; `gone` where it was deleted.

    `initial` objects were there when the recording began.
    """

    time: float
    object: Object
    gone: bool = False
    initial: bool = False

    def line(self) -> str:
        """The change as one line of JSON."""
        kind = "DELETED" if self.gone else "INITIAL" if self.initial else "CHANGED"
        return json.dumps({"time": self.time, "type": kind, "object": self.object}, ensure_ascii=False, separators=(",", ":"))


def redaction(texts: Iterable[str]) -> list[tuple[str, ...]]:
    """The paths of `--redact` options. Raises UsageError."""
    try:
        return [path_steps(text) for text in texts]
    except Mismatch as fault:
        raise UsageError(f"--redact: {fault}") from None


def redacted(obj: Object, paths: Sequence[tuple[str, ...]]) -> dict[str, Any]:
    """A copy of an object without what is secret: Secrets' data, these paths, and what says the same a second time."""
    copy: dict[str, Any] = json.loads(json.dumps(obj))
    for path in _ALWAYS:
        _at(copy, path, remove=True)
    for path in (*paths, *(_SECRET if obj.get("kind") == "Secret" else ())):
        _at(copy, path, remove=False)
    return copy


def _at(value: Any, path: tuple[str, ...], *, remove: bool) -> None:
    """Remove, or blot out, what is at a path; a list on the way is gone through."""
    if isinstance(value, list):
        for item in value:
            _at(item, path, remove=remove)
        return
    step, *rest = path
    if not isinstance(value, dict) or step not in value:
        return
    if rest:
        _at(value[step], tuple(rest), remove=remove)
    elif remove:
        del value[step]
    else:
        value[step] = _blotted(value[step])


def _blotted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _blotted(item) for key, item in value.items()}
    return [_blotted(item) for item in value] if isinstance(value, list) else REDACTED


def read_recording(path: Path) -> Iterator[Change]:
    """The changes of a recording, in order. Raises UsageError where there is no such file, InvalidText at a line that is none."""
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(LONGEST_LINE + 1):
                number += 1
                if line.strip():
                    yield _change(line, Location(str(path), number, 1))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}; expected a recording of `rulepack record`") from error


def _change(line: bytes, place: Location) -> Change:
    expected = '{"time": …, "type": INITIAL, CHANGED or DELETED, "object": {…}}, as `rulepack record` writes it'
    if len(line) > LONGEST_LINE:
        raise InvalidText([Fault(place, f"the line has more than {LONGEST_LINE} bytes", expected, "yaml")])
    try:
        body = json.loads(line)
        kind, time, obj = body["type"], float(body["time"]), body["object"]
        wrong = misnamed(ref_of(obj)) or ("" if kind in ("INITIAL", "CHANGED", "DELETED") else f"type {kind!r:.40} is none")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        wrong = "the line is no change"
    if wrong:
        raise InvalidText([Fault(place, wrong, expected, "yaml")])
    return Change(time, obj, kind == "DELETED", kind == "INITIAL")
