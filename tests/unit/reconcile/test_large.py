"""Values that are too large to be cached: read from the API server when a rule needs them, and at no other time."""

from __future__ import annotations

from typing import Any

import pytest

from engine.cel import backend
from engine.kube.faults import InjectedFault
from engine.model.objects import Kind, ObjectKey, annotations_of, metadata
from engine.packs.parse import parse_pack
from engine.reconcile.prune import LARGE, Omitted, Pruner, pruner
from engine.reconcile.reads import pruner_of
from tests.world import World, named

CONFIG = Kind("v1", "ConfigMap")
LONG = "x" * (LARGE + 1)


def marks(when: str, value: str) -> str:
    """A rule that annotates with a value."""
    return f"{{name: r, when: \"{when}\", actions: [{{annotate: {{annotations: {{a/mark: '{value}'}}}}}}]}}"


RULES = {
    "template": marks("has(object.metadata.name)", "${hash(object.data.text)}"),
    "condition": marks("object.data.text.size() > 5", "${hash(object.data.text)}"),
    "whole": marks("has(object.metadata.name)", "${hash(toJson(object.data))}"),
}


def world(*rules: str, fields: str = "data", more: str = "") -> World:
    """A world with one pack of these rules on ConfigMaps."""
    lines = "".join(f"\n    - {rule}" for rule in rules)
    text = f"""\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {{name: p}}
spec:
  watch: {{apiVersion: v1, kind: ConfigMap, fields: [{fields}]}}
  {more}
  rules:{lines}
"""
    return World(*parse_pack(text, "pack.yaml", backend()))


def config(text: str, **data: str) -> Any:
    """A ConfigMap with a text."""
    return named(CONFIG, "c", data={"text": text, **data})


def reads(world: World) -> int:
    """How many requests for one object by its name the engine has made so far."""
    return sum(call.verb in ("list", "get") for call in world.engine.calls)


def cached(world: World) -> Any:
    """What the cache holds of the ConfigMap's data."""
    (pack,) = world.catalog.packs.values()
    found = world.caches.get(pack, ObjectKey(CONFIG, "ns", "c"))
    assert found is not None
    return found.object["data"]


@pytest.mark.parametrize("rule", ["template", "condition", "whole"])
async def test_a_large_value_is_read_when_a_rule_needs_it(rule: str) -> None:
    """The annotation is that of the whole value, which the cache does not hold; and it follows each change of it."""
    fixture = world(RULES[rule])
    await fixture.create(config("short"))
    await fixture.settle()
    before = reads(fixture)

    found = []
    for text in (LONG, LONG + "y", "short again"):
        await fixture.patch(CONFIG, "c", {"data": {"text": text}})
        await fixture.settle()
        found.append((await fixture.annotations(CONFIG, "c")).get("a/mark"))
        assert isinstance(cached(fixture), Omitted) == (len(text) > LARGE)

    assert len({*found, None}) == 4
    assert reads(fixture) == before + 2


@pytest.mark.parametrize(
    "rule",
    [marks("object.data.kind == 'other'", "${object.data.text}"), marks("has(object.metadata.name)", "${object.data.kind}")],
    ids=["ruled out", "beside it"],
)
async def test_what_no_rule_needs_is_not_read(rule: str) -> None:
    """Neither where another field rules the rule out, nor where what is read lies beside the large value."""
    fixture = world(rule, fields="data.text, data.kind")
    await fixture.create(config(LONG, kind="this"))

    await fixture.settle()

    assert reads(fixture) == 0
    assert cached(fixture) == {"kind": "this"} | ({"text": cached(fixture)["text"]} if "text" in cached(fixture) else {})


@pytest.mark.parametrize(
    "rule",
    [
        marks("oldObject != null && oldObject.data.text != object.data.text", "changed"),
        "{name: r, on: Delete, when: object.data.text.size() > 5, actions: [{emitEvent: {type: Normal, reason: R, message: m}}]}",
    ],
    ids=["oldObject", "Delete"],
)
async def test_what_cannot_be_read_again_is_cached(rule: str) -> None:
    """What an object has been, and what is gone, is in no API server any more."""
    fixture = world(rule)
    await fixture.create(config(LONG))
    await fixture.settle()

    assert cached(fixture)["text"] == LONG


async def test_an_object_that_cannot_be_read_is_tried_again() -> None:
    """No rule is evaluated on half an object; the API server is asked again until it answers."""
    fixture = world(RULES["template"])
    fixture.engine.faults.add(InjectedFault(503, verb="list", times=3))
    await fixture.create(config(LONG))

    await fixture.settle()
    assert not (await fixture.annotations(CONFIG, "c"))
    await fixture.settle(30)

    assert len((await fixture.annotations(CONFIG, "c"))["a/mark"]) == 16


async def test_an_object_that_is_gone_is_not_evaluated() -> None:
    """One that was deleted, and made again under its name, since it was cached is not the one that the rule is about."""
    fixture = world(RULES["template"])
    await fixture.create(config(LONG))
    key = ObjectKey(CONFIG, "ns", "c")
    old = await fixture.get(CONFIG, "c")
    await fixture.delete(CONFIG, "c")
    await fixture.create(config("another"))
    fixture.caches.put(key, old)

    assert await fixture.reconciler.reconcile(key) is None

    assert not annotations_of(await fixture.get(CONFIG, "c"))


def test_what_is_omitted_is_compared_by_its_value() -> None:
    """Equal values are equal, others are not, nested ones included; what is nested too deeply is as long as the object."""
    prune = Pruner(frozenset([("data",), ("spec", "list", "[]", "a")]), frozenset())

    def entry(value: Any, version: str = "1") -> Any:
        return prune.entry({"metadata": {"resourceVersion": version}, "data": value})

    deep: Any = "x"
    for _ in range(500):
        deep = {"a": deep}
    assert entry({"a": LONG, "b": 1}) == entry({"b": 1, "a": LONG}, "2")._replace(object=entry({"a": LONG, "b": 1}).object)
    assert entry({"a": LONG}).object["data"] != entry({"a": LONG + "x"}).object["data"]
    assert entry(deep).object["data"] == entry(deep).object["data"] != entry(deep, "2").object["data"]
    assert entry({"a": LONG}).omitted == (("data",),)
    assert entry({"a": "short"}).omitted == ()
    assert "anything" in entry(LONG).object["data"]


def test_a_list_of_many_elements_is_omitted_as_a_whole() -> None:
    """Elements that differ are heavy even where each is small; their list is omitted, and what holds it stays as it was."""
    prune = Pruner(frozenset([("spec", "list", "[]", "a"), ("spec", "b")]), frozenset())
    obj: dict[str, Any] = {"metadata": {}, "spec": {"list": [{"a": f"{number}", "c": 1} for number in range(20_000)], "b": 1}}

    found = prune.entry(obj)

    assert found.omitted == (("spec", "list"),)
    assert found.object["spec"]["b"] == 1
    assert len(obj["spec"]["list"]) == 20_000


def test_metadata_is_never_omitted_and_nothing_is_without_being_asked_for() -> None:
    """What names an object, its annotations and records are always there; `pruner` keeps all that it is to keep."""
    obj = {"kind": "K", "metadata": {"annotations": {"a": LONG}}, "data": LONG}

    assert Pruner(None, frozenset()).entry(obj).omitted == (("data",),)
    assert metadata(Pruner(None, frozenset()).entry(obj).object) == obj["metadata"]
    assert pruner(None).entry(obj).omitted == pruner([("data",)]).entry(obj).omitted == ()


def test_what_is_kept_also_is_never_omitted() -> None:
    """Paths that are added are cached however large they are; beside all of an object nothing is left out."""
    obj = {"kind": "K", "metadata": {}, "data": {"a": LONG, "b": LONG}, "spec": LONG}
    parts, everything = Pruner(frozenset([("data",)]), frozenset()), Pruner(None, frozenset())

    assert parts.entry(obj).omitted == (("data",),)
    assert parts.also(frozenset([("data", "a")])).entry(obj) == pruner([("data",)]).entry(obj)
    assert parts.also(frozenset([("spec",)])).entry(obj).omitted == (("data",),)
    assert everything.also(frozenset([("data", "a")])).entry(obj).omitted == (("spec",),)
    assert parts.also(None).entry(obj) == everything.also(None).entry(obj) == pruner(None).entry(obj)


@pytest.mark.parametrize(
    ("rule", "alone"),
    [(marks("has(object.metadata.name)", "${object.metadata.uid}"), True), (RULES["template"], False)],
)
def test_whether_metadata_is_enough(rule: str, alone: bool) -> None:
    """Where no rule reads anything else, no more has to be listed and watched."""
    packs = world(rule, fields="metadata.labels").catalog.packs.values()

    assert pruner_of(CONFIG, list(packs)).metadata_only is alone
