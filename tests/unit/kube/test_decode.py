"""Lists and events of which one object cannot be decoded: the others are there, and that one is named."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.kube.decode import decoded_event, decoded_list, undecodable

DEEP = b'{"a":' * 9000 + b"1" + b"}" * 9000
BAD = {
    "9,000 levels": DEEP,
    "1,100 levels of lists": b"[" * 1100 + b"]" * 1100,
    "no UTF-8": b'"\xff\xfe"',
    "half a surrogate": rb'"\ud800"',
    "a number that no double holds": b"1e400",
    "an integer that no double holds": b"1" * 400,
}


def item(name: str, spec: bytes) -> bytes:
    meta = {"name": name, "namespace": "ns", "uid": f"uid-{name}", "resourceVersion": "7", "labels": {"a": '"]},{['}}
    return b'{"metadata": ' + json.dumps(meta).encode() + b', "spec": ' + spec + b"}"


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_one_broken_item_spoils_no_other(bad: bytes) -> None:
    """Whatever is wrong with it, wherever it stands."""
    text = b'{"kind": "WidgetList", "metadata": {"resourceVersion": "9", "continue": "c"}, "items": [%s, %s, %s]}\n' % (
        item("a", b'{"size": 1}'), item("b", bad), item("c", b"{}"),
    )  # fmt: skip

    found = decoded_list(text)

    assert found is not None
    envelope, (broken,) = found
    assert envelope["metadata"] == {"resourceVersion": "9", "continue": "c"}
    assert [each["metadata"]["name"] for each in envelope["items"]] == ["a", "c"]
    assert broken.object == {"metadata": {"name": "b", "namespace": "ns", "uid": "uid-b", "resourceVersion": "7"}}
    assert broken.reason


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_an_event_of_a_watch_names_its_object(bad: bytes) -> None:
    """Where the managedFields are broken in the same way too."""
    meta = b'{"managedFields": [{"fieldsV1": %s}], "name": "b", "resourceVersion": "7"}' % bad
    text = b'{"type": "MODIFIED", "object": {"kind": "Widget", "metadata": %s, "spec": %s}}' % (meta, bad)

    found = decoded_event(text)

    assert found is not None
    assert found[0] == "MODIFIED"
    assert found[1].object == {"kind": "Widget", "metadata": {"name": "b", "resourceVersion": "7"}}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_an_object_by_itself_is_named(bad: bytes) -> None:
    """One that can be decoded, and one that is cut short, is none of them."""
    found = undecodable(item("b", bad))

    assert found is not None
    assert found.object["metadata"]["name"] == "b"
    assert undecodable(item("b", b"{}")) is None
    assert undecodable(item("b", bad)[:-1]) is None


@pytest.mark.parametrize(
    "text", [b"", b"<html>", b"[]", b"null", b'{"items": [', b'{"items": [{]}', b'{"items": [%s' % DEEP, b"{}"]
)
def test_what_is_no_list_is_none(text: bytes) -> None:
    """It is an error of the answer as a whole."""
    assert decoded_list(text) is None
    assert decoded_event(text) is None
    assert undecodable(text) is None


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


@given(items=st.lists(st.dictionaries(st.text(), VALUES)), more=VALUES)
def test_a_list_that_is_taken_apart_is_the_list(items: list[object], more: object) -> None:
    """Whatever it holds: texts with brackets, quotes and backslashes among it."""
    text = json.dumps({"metadata": {"x": more}, "items": items}).encode()

    assert decoded_list(text) == ({"metadata": {"x": more}, "items": items}, [])
