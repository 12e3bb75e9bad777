"""Firing records: what a rule has already done for an object, kept in an annotation of that object.

One patch of the watched object carries its own metadata and the firing records together.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple

import orjson

from engine.errors import ApiError
from engine.kube.act import Actor
from engine.model.merge import changes
from engine.model.objects import Object, annotations_of, metadata
from engine.model.plan import Annotate, OwnWrite, own_patch

PREFIX = "fired.rules.mlops.dev/"


class Result(StrEnum):
    """How a firing, or one loop item of it, ended."""

    DONE = "Done"
    FAILED = "Failed"


class Wait(NamedTuple):
    """Since when a loop item has waited, and what for."""

    since: datetime
    reason: str


class Record(NamedTuple):
    """What is on record for one rule and one object: the firing key, and each loop item that has ended.

    A rule without a loop has the one item ''. What has ended says nothing of the wall clock, so that writing it again changes
    nothing. `waiting` are items of this firing that have begun and not ended; `true_since` and `fired_at` are timers that
    are to outlive the process. `by` is the operator that wrote it, '' where it names none.
    """

    key: str = ""
    items: Mapping[str, Result] = {}
    waiting: Mapping[str, Wait] = {}
    true_since: datetime | None = None
    fired_at: datetime | None = None
    by: str = ""

    def ended(self, key: str, item: str) -> bool:
        """Return whether this item of this firing has ended."""
        return self.key == key and item in self.items

    def with_items(self, key: str, items: Mapping[str, Result], waiting: Mapping[str, Wait] | None = None) -> Record:
        """Return the record after these items of a firing have ended, and others wait; another key starts a new record."""
        ended = {**(self.items if key == self.key else {}), **items}
        return self._replace(key=key, items=ended, waiting=waiting or {})

    def without_timers(self) -> Record:
        """Return the record without what is only there so that timers outlive the process."""
        return self._replace(true_since=None, fired_at=None)

    def text(self, uid: str, by: str = "") -> str:
        """Return the annotation's value for the object with this uid, written by the operator of this name.

        It is the second format. The first, of 0.1, has no uid; 0.1 reads this one, and passes over what it does not know.
        """
        outcome = Result.FAILED if Result.FAILED in self.items.values() else Result.DONE
        body: dict[str, object] = {"key": self.key, "outcome": str(outcome), "uid": uid}
        if by:
            body["by"] = by
        if set(self.items) != {""}:
            body["items"] = dict(sorted(self.items.items()))
        if self.waiting:
            body["waiting"] = {item: {"since": _text(wait.since), "reason": wait.reason} for item, wait in self.waiting.items()}
        timers = {"trueSince": self.true_since, "firedAt": self.fired_at}
        body.update({name: _text(time) for name, time in timers.items() if time is not None})
        return orjson.dumps(body).decode()


#: What is on record where nothing is.
NOTHING = Record()


def recorded(obj: Object, names: Sequence[str]) -> Record:
    """Return the firing record on an object under the first of these names (`RulePack.record_names`) that has one.

    Return an empty one where there is none, one that nobody could have written, or one of another object, of which this
    one is a copy.
    """
    annotations, uid = annotations_of(obj), metadata(obj).get("uid")
    for name in names:
        text = annotations.get(PREFIX + name)
        if isinstance(text, str):
            return _parsed(text, uid)
    return NOTHING


def failures(obj: Object, names: Sequence[str], key: str) -> Sequence[str]:
    """Return the loop items that failed for good, by the record of the firing with this key; without a loop the item is ''.

    Most records name no failure, which costs no decoding.
    """
    annotations = annotations_of(obj)
    if not any(Result.FAILED in str(annotations.get(PREFIX + name, "")) for name in names):
        return ()
    record = recorded(obj, names)
    return [item for item, result in record.items.items() if result is Result.FAILED and record.key == key]


def _parsed(text: str, uid: Any) -> Record:
    try:
        body = orjson.loads(text)
        if body.get("uid", uid) != uid:
            return NOTHING
        items = body.get("items", {"": body["outcome"]})
        ended = {str(item): Result(state) for item, state in items.items()}
        waiting = {item: Wait(_time(wait["since"]), str(wait["reason"])) for item, wait in body.get("waiting", {}).items()}
        true_since, fired_at = (_time(body[name]) if name in body else None for name in ("trueSince", "firedAt"))
        return Record(str(body["key"]), ended, waiting, true_since, fired_at, str(body.get("by", "")))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return NOTHING


def written_by(text: Any, uid: str) -> str:
    """Return the name of the operator that wrote a record, the annotation's value, of the object with this uid.

    '' where the record names none, as those of 0.1, is one of another object, or is none at all.
    """
    try:
        body = orjson.loads(text)
        return str(body.get("by", "")) if body["uid"] == uid else ""
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ""


def _text(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"


def _time(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def on_record(obj: Object, names: Sequence[str], text: str | None) -> Annotate:
    """Return what writes a record under the first of a rule's names, and removes those under the names that it had before."""
    before = [PREFIX + name for name in names[1:] if PREFIX + name in annotations_of(obj)]
    return Annotate({PREFIX + names[0]: text, **dict.fromkeys(before)})


def removed(obj: Object, names: Collection[str]) -> dict[str, None]:
    """Return the annotations of an object that hold records with these names, to be removed."""
    return {key: None for key in annotations_of(obj) if key.startswith(PREFIX) and key.removeprefix(PREFIX) in names}


async def write_own(actor: Actor, obj: Object, own: Annotate) -> OwnWrite | None:
    """Bring the watched object's metadata to what it should be, in one patch; return what was written.

    None where nothing is to be written. Raises ApiError and NotLeading.
    """
    step = own_patch(obj, own)
    if not changes(obj, step.body):
        return None
    try:
        version = await actor.write_metadata(step)
    except ApiError as error:
        if error.not_found or "uid" in error.message.lower():
            return OwnWrite(step.body, gone=True)
        raise
    return OwnWrite(step.body, version)
