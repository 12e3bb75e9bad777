"""Which packs an object concerns, and which of their rules it does not rule out."""

from __future__ import annotations

from engine.cel import backend
from engine.model.objects import Kind
from engine.packs.pack import RulePack
from engine.packs.parse import parse_pack
from engine.reconcile.prefilter import Watchers, watchers

PACK = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {{name: {name}}}
spec:
  watch: {{apiVersion: v1, kind: ConfigMap, {watch}}}
  rules:
    - {{name: one, when: object.data.word == 'x', actions: [{{annotate: {{annotations: {{a/b: c}}}}}}]}}
    - {{name: two, when: object.data.word != 'y', actions: [{{annotate: {{annotations: {{a/b: c}}}}}}]}}
"""


def pack(name: str, watch: str) -> RulePack:
    """A pack of two rules, of which only the first has a gate."""
    (found,) = parse_pack(PACK.format(name=name, watch=watch), "pack.yaml", backend())
    return found


def test_only_those_who_watch_a_field_are_affected_by_it() -> None:
    """A pack is concerned by another value in its fields, one without fields by any but that of the resourceVersion."""
    group = Watchers(Kind("v1", "ConfigMap"), [
        pack("a", "fields: [data.word]"), pack("b", "fields: [data.word, data.size]"), pack("c", "fields: [data.size]"),
        pack("d", "fields: []"),
    ], {})  # fmt: skip

    def affected(data: dict[str, str], version: str = "1") -> set[int]:
        before = {"metadata": {"resourceVersion": "1"}, "data": {"word": "x", "size": "1"}}
        after = {"metadata": {"resourceVersion": version}, "data": data}
        return {*group.affected(group.values(before), group.values(after))}

    assert affected({"word": "x", "size": "1"}, version="2") == set()
    assert affected({"word": "y", "size": "1"}) == {0, 1, 3}
    assert affected({"word": "x", "size": "2"}) == {1, 2, 3}
    assert affected({"word": "x", "size": "1", "other": "z"}) == {3}


def test_a_value_is_another_one_only_where_it_differs() -> None:
    """Equal mappings of two decoded objects are no change."""
    group = Watchers(Kind("v1", "ConfigMap"), [pack("a", "fields: [data]")], {})
    assert group.affected(group.values({"data": {"a": ["b"]}}), group.values({"data": {"a": ["b"]}})) == set()


def test_rules_of_those_who_are_asked() -> None:
    """Of the packs that are asked, each has the rules that the object does not rule out."""
    group = Watchers(Kind("v1", "ConfigMap"), [pack("a", "fields: [data]"), pack("b", "fields: [data]")], {})
    assert group.candidates({"data": {"word": "x"}}, {0, 1}) == {0: [0, 1], 1: [0, 1]}
    assert group.candidates({"data": {"word": "y"}}, {1}) == {1: [1]}


def test_packs_of_other_labels_see_other_objects() -> None:
    """Packs stand together that pick their objects by the same labels."""
    groups = watchers(
        Kind("v1", "ConfigMap"), [pack("a", "labelSelector: app"), pack("b", "fields: []"), pack("c", "labelSelector: app")], {}
    )
    assert [[each.name for each in group.packs] for group in groups] == [["a", "c"], ["b"]]
