"""Firing records: what is written on an object is what the next process reads."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from engine.model.objects import Object
from engine.reconcile.record import PREFIX, Record, Result, recorded

UID = "0d4e3f5a"
KEYS = st.text(min_size=1, max_size=20)
ITEMS = st.dictionaries(st.text(max_size=10), st.sampled_from(Result), min_size=1, max_size=4)
ENDINGS = st.lists(st.tuples(st.sampled_from(["uid/1", "uid/2"]) | KEYS, ITEMS), min_size=1, max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(UID), lambda one: st.lists(one) | st.dictionaries(st.text(UID), one)
)


def on_record(text: object) -> Object:
    """An object with this as the firing record of rule r in pack p."""
    return {"metadata": {"annotations": {PREFIX + "p.r": text}, "uid": UID}}


@given(ENDINGS)
def test_what_has_ended_stays_on_record_until_the_next_firing(endings: list[tuple[str, dict[str, Result]]]) -> None:
    """Through any number of restarts: each item that ended in this firing, as it ended last, and nothing of another firing."""
    record, latest, ended = Record(), "", dict[str, Result]()
    for key, items in endings:
        record = recorded(on_record(record.with_items(key, items).text(UID)), ["p.r"])  # another process reads it
        ended = {**(ended if key == latest else {}), **items}
        latest = key

        assert dict(record.items) == ended
        assert all(record.ended(key, item) for item in ended)
        assert not record.ended(key + "'", next(iter(ended)))


@given(ENDINGS)
def test_writing_a_record_again_changes_nothing(endings: list[tuple[str, dict[str, Result]]]) -> None:
    """Neither the order in which items ended nor a repeat shows in the text, so that doing it again writes nothing."""
    for key, items in endings:
        once = Record().with_items(key, items)
        other = Record()
        for item, state in reversed(items.items()):
            other = other.with_items(key, {item: state})

        assert other.text(UID) == once.with_items(key, items).text(UID) == once.text(UID)
        assert recorded(on_record(once.text(UID)), ["p.r"]).text(UID) == once.text(UID)


SHAPES = st.fixed_dictionaries({}, optional={"key": JSON, "items": JSON, "outcome": JSON})


@given(JSON | st.text(UID) | (JSON | SHAPES).map(json.dumps))
def test_what_nobody_could_have_written_counts_as_no_record(annotation: object) -> None:
    """An annotation that somebody else wrote is read without failing; what says no key or no known outcome is no record."""
    record = recorded(on_record(annotation), ["p.r"])
    assert record == Record() or set(record.items.values()) <= set(Result)
