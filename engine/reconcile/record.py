"""Firing records: what a rule has already done for an object, kept in an annotation of that object.

One patch of the watched object carries its own metadata and the firing records together.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

import orjson

from engine.errors import ApiError
from engine.kube.act import Actor
from engine.model.merge import changes
from engine.model.objects import Object, annotations_of
from engine.model.plan import Annotate, OwnWrite, own_patch

PREFIX = "fired.rules.mlops.dev/"


class Result(StrEnum):
    """How a firing, or one loop item of it, ended."""

    DONE = "Done"
    FAILED = "Failed"


class Record(NamedTuple):
    """What is on record for one rule and one object: the firing key, and each loop item that has ended.

    A rule without a loop has the one item ''. Nothing in it comes from the wall clock, so that writing it again
    changes nothing.
    """

    key: str = ""
    items: Mapping[str, Result] = {}

    def ended(self, key: str, item: str) -> bool:
        """Return whether this item of this firing has ended."""
        return self.key == key and item in self.items

    def with_items(self, key: str, items: Mapping[str, Result]) -> Record:
        """Return the record after these items of a firing have ended; another key starts a new record."""
        return Record(key, {**(self.items if key == self.key else {}), **items})

    def text(self) -> str:
        """Return the annotation's value."""
        outcome = Result.FAILED if Result.FAILED in self.items.values() else Result.DONE
        body: dict[str, object] = {"key": self.key, "outcome": str(outcome)}
        if set(self.items) != {""}:
            body["items"] = dict(sorted(self.items.items()))
        return orjson.dumps(body).decode()


#: What is on record where nothing is.
NOTHING = Record()


def annotation_of(pack: str, rule: str) -> str:
    """Return the annotation that holds a rule's firing record."""
    return f"{PREFIX}{pack}.{rule}"


def recorded(obj: Object, pack: str, rule: str) -> Record:
    """Return the firing record on an object; an empty one where there is none, or one that nobody could have written."""
    text = annotations_of(obj).get(annotation_of(pack, rule))
    if not isinstance(text, str):
        return NOTHING
    try:
        body = orjson.loads(text)
        items = body.get("items", {"": body["outcome"]})
        return Record(str(body["key"]), {str(item): Result(state) for item, state in items.items()})
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return NOTHING


async def write_own(actor: Actor, obj: Object, own: Annotate) -> OwnWrite | None:
    """Bring the watched object's metadata to what it should be, in one patch; return what was written.

    None where nothing is to be written, or where the object is gone. Raises ApiError and NotLeading.
    """
    step = own_patch(obj, own)
    if not changes(obj, step.body):
        return None
    try:
        version = await actor.write_metadata(step)
    except ApiError as error:
        if error.status == 404 or "uid" in error.message.lower():
            return None
        raise
    return OwnWrite(step.body, version)
