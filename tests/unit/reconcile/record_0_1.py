"""The firing records of rulepack 0.1: engine/decide/record.py of commit 09619d6 as it was, but for this line."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

import orjson

from engine.model.objects import Object, annotations_of

PREFIX = "fired.rules.mlops.dev/"


class State(StrEnum):
    """How a firing, or one loop item of it, ended."""

    DONE = "Done"
    FAILED = "Failed"


class Record(NamedTuple):
    """What is on record for one rule and one object: the firing key, and each loop item that has ended.

    A rule without a loop has the one item ''. Nothing in it comes from the wall clock, so that writing it again
    changes nothing.
    """

    key: str = ""
    items: Mapping[str, State] = {}

    def ended(self, key: str, item: str) -> bool:
        """Whether this item of this firing has ended."""
        return self.key == key and item in self.items

    def with_items(self, key: str, items: Mapping[str, State]) -> Record:
        """The record after these items of a firing have ended; another key starts a new record."""
        return Record(key, {**(self.items if key == self.key else {}), **items})

    def text(self) -> str:
        """The annotation's value."""
        outcome = State.FAILED if State.FAILED in self.items.values() else State.DONE
        body: dict[str, object] = {"key": self.key, "outcome": str(outcome)}
        if set(self.items) != {""}:
            body["items"] = dict(sorted(self.items.items()))
        return orjson.dumps(body).decode()


#: What is on record where nothing is.
NOTHING = Record()


def annotation_of(pack: str, rule: str) -> str:
    """The annotation that holds a rule's firing record."""
    return f"{PREFIX}{pack}.{rule}"


def recorded(obj: Object, pack: str, rule: str) -> Record:
    """The firing record on an object; an empty one where there is none, or one that nobody could have written."""
    text = annotations_of(obj).get(annotation_of(pack, rule))
    if not isinstance(text, str):
        return NOTHING
    try:
        body = orjson.loads(text)
        items = body.get("items", {"": body["outcome"]})
        return Record(str(body["key"]), {str(item): State(state) for item, state in items.items()})
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return NOTHING
