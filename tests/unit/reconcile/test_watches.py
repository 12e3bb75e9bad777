"""What a pack watches: several kinds, each with its own selectors and fields, and objects by the labels of their namespaces."""

from __future__ import annotations

from typing import Any

import pytest

from engine.model.objects import Kind, Object, ObjectKey
from engine.packs.pack import RulePack
from engine.reconcile.prefilter import watchers
from engine.reconcile.reads import pruner_of
from tests.unit.packs.packs import pack, parsed
from tests.world import NAMESPACE, World, named

CONFIG, SECRET = Kind("v1", "ConfigMap"), Kind("v1", "Secret")
CONFIGS, SECRETS = ({"apiVersion": "v1", "kind": kind.kind} for kind in (CONFIG, SECRET))
TEAM = {"namespaceSelector": {"matchLabels": {"team": "ml"}}}


def annotating(name: str = "mark", value: str = "${object.kind}", **fields: Any) -> dict[str, Any]:
    """A rule that annotates the watched object."""
    return {"name": name, "actions": [{"annotate": {"annotations": {f"a/{name}": value}}}], **fields}


def of(watch: Any, *rules: dict[str, Any], **fields: Any) -> RulePack:
    """A pack that watches this."""
    return parsed(pack(watch=watch, rules=[*rules] or [annotating()], **fields))


def namespace(name: str, **labels: str) -> Object:
    """A namespace with labels."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


async def mark(world: World, kind: Kind, name: str, namespace: str = "ns", key: str = "a/mark") -> str | None:
    """What the rule has put down."""
    return (await world.annotations(kind, name, namespace)).get(key)


async def test_each_kind_is_selected_by_its_own_labels() -> None:
    """One rule is evaluated for objects of both kinds; what neither selector picks is left alone."""
    world = World(of([{**CONFIGS, "labelSelector": {"watch": "yes"}}, SECRETS]))
    chosen = {**named(CONFIG, "chosen"), "metadata": {"name": "chosen", "namespace": "ns", "labels": {"watch": "yes"}}}
    await world.create(named(CONFIG, "other"), chosen, named(SECRET, "other"))

    await world.settle()

    assert [await mark(world, *each) for each in ((CONFIG, "other"), (CONFIG, "chosen"), (SECRET, "other"))] == [
        None, "ConfigMap", "Secret",
    ]  # fmt: skip


async def test_each_kind_is_evaluated_when_its_own_fields_change() -> None:
    """A change of the type matters of Secrets, one of the data of ConfigMaps; another one evaluates nothing."""
    world = World(of([{**CONFIGS, "fields": ["data"]}, {**SECRETS, "fields": ["metadata.labels"]}]))
    await world.create(named(CONFIG, "c"), named(SECRET, "s"))
    await world.settle()
    world.seen.evaluations.clear()

    async def evaluations(kind: Kind, name: str, change: Any) -> int:
        world.seen.evaluations.clear()
        await world.patch(kind, name, change)
        await world.settle()
        return len(world.seen.evaluations)

    assert await evaluations(CONFIG, "c", {"data": {"a": "b"}}) == 1
    assert await evaluations(SECRET, "s", {"data": {"a": "Yg=="}}) == 0
    assert await evaluations(SECRET, "s", {"metadata": {"labels": {"a": "b"}}}) == 1
    assert await evaluations(CONFIG, "c", {"metadata": {"labels": {"a": "b"}}}) == 0


async def test_objects_of_one_name_are_different_ones() -> None:
    """Each has its own record, firing once; each is a member of its own in a group."""
    count = {
        "name": "count",
        "aggregate": {
            "by": "object.metadata.namespace", "counts": {"all": "true", "secrets": "object.kind == 'Secret'"},
            "target": {"apiVersion": "v1", "kind": "Namespace", "name": "${groupKey}"},
        },
        "actions": [{"annotate": {"annotations": {"a/all": "${group.all}", "a/secrets": "${group.secrets}"}}}],
    }  # fmt: skip
    targets = [{"apiVersion": "v1", "kind": "Namespace", "verbs": ["get", "list", "patch"], "consent": "true"}]
    world = World(of([CONFIGS, SECRETS], annotating(oncePer="'x'"), count, targets=targets))
    await world.create(named(CONFIG, "same"), named(SECRET, "same"))

    await world.settle(5)

    assert (await mark(world, CONFIG, "same"), await mark(world, SECRET, "same")) == ("ConfigMap", "Secret")
    assert await world.annotations(NAMESPACE, "ns", "") == {"a/all": "2", "a/secrets": "1"}


@pytest.mark.parametrize(
    ("clause", "vars"),
    [
        ("object.kind == 'Secret'", {}),
        ("vars.kind == 'Secret'", {"kind": "object.kind"}),
        ("vars.secret", {"secret": "object.kind == 'Secret' && object.metadata.name != ''"}),
        ("vars.chosen", {"chosen": "vars.secret", "secret": "vars.kind in ['Secret']", "kind": "object.kind"}),
    ],
)
async def test_a_rule_that_names_a_kind_is_about_that_one_only(clause: str, vars: dict[str, str]) -> None:
    """It is not evaluated for others, and of these no more is kept than other rules read; it may name the kind through vars."""
    only = annotating("secrets", "${object.data.password}", when=[clause, "has(object.data.password)"], vars=vars)
    found = of([CONFIGS, SECRETS], annotating(), only)
    world = World(found)
    await world.create(named(CONFIG, "c", data={"password": "p"}), named(SECRET, "s", data={"password": "cA=="}))

    await world.settle()

    assert await mark(world, CONFIG, "c", key="a/secrets") is None
    assert await mark(world, SECRET, "s", key="a/secrets") == "cA=="
    (group,) = watchers(CONFIG, (found,), {})
    assert group.candidates({"kind": "ConfigMap", "data": {"password": "p"}}, {0}) == {0: [0]}
    assert [found.kinds(rule) for rule in found.rules] == [(CONFIG, SECRET), (SECRET,)]


@pytest.mark.parametrize("clause", ["object.kind == 'Secret'", "vars.secret"])
def test_of_each_kind_is_kept_what_rules_for_it_read(clause: str) -> None:
    """The fields of other kinds, and what rules for other kinds read, are not kept."""
    only = annotating("secrets", "${object.data.password}", when=clause, vars={"secret": "object.kind == 'Secret'"})
    found = of([{**CONFIGS, "fields": ["immutable"]}, {**SECRETS, "fields": ["type"]}], only)
    obj = {"kind": "X", "metadata": {"name": "x"}, "data": {"password": "p", "other": "o"}, "type": "t", "immutable": True}

    assert pruner_of(CONFIG, [found])(obj) == {"kind": "X", "metadata": {"name": "x"}, "immutable": True}
    assert pruner_of(SECRET, [found])(obj) == {"kind": "X", "metadata": {"name": "x"}, "data": {"password": "p"}, "type": "t"}


def test_of_other_kinds_is_kept_what_conditions_read() -> None:
    """Through vars as well, since these may say of an object of whichever kind that the rule is not about it."""
    only = annotating(
        "secrets", "${object.data.password}", when=["vars.type != 'a'", "vars.secret"],
        vars={"secret": "object.kind == 'Secret'", "type": "object.type"},
    )  # fmt: skip
    found = of([{**CONFIGS, "fields": ["immutable"]}, SECRETS], only)
    obj = {"kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"password": "p"}, "type": "t", "immutable": True}

    kept = pruner_of(CONFIG, [found])(obj)

    assert kept == {"kind": "ConfigMap", "metadata": {"name": "x"}, "type": "t", "immutable": True}


async def test_a_deletion_is_reported_of_each_kind() -> None:
    """A rule about what is gone sees objects of all kinds that are watched."""
    event = {"emitEvent": {"type": "Normal", "reason": "Gone", "message": "${object.kind} ${object.metadata.name}"}}
    world = World(of([CONFIGS, SECRETS], {"name": "gone", "event": "Delete", "actions": [event]}))
    await world.create(named(CONFIG, "c"), named(SECRET, "s"))
    await world.settle()
    await world.delete(CONFIG, "c")
    await world.delete(SECRET, "s")

    await world.settle()

    assert [message for _, _, message in await world.events()] == ["ConfigMap c", "Secret s"]


async def test_a_namespace_begins_to_be_watched_with_its_label() -> None:
    """Its objects are evaluated at once; those of other namespaces are left alone."""
    world = World(of({**CONFIGS, **TEAM}))
    await world.create(namespace("ns"), namespace("other", team="web"), named(CONFIG, "c"), named(CONFIG, "c", "other"))
    await world.settle()
    before = await mark(world, CONFIG, "c")

    await world.patch(NAMESPACE, "ns", {"metadata": {"labels": {"team": "ml"}}}, "")
    await world.settle()

    assert (before, await mark(world, CONFIG, "c"), await mark(world, CONFIG, "c", "other")) == (None, "ConfigMap", None)


async def test_a_namespace_ceases_to_be_watched_with_its_label() -> None:
    """What is done stays, what waits is dropped, no rule takes it for a deletion; with the label all begins anew."""
    event = {"emitEvent": {"type": "Normal", "reason": "Gone", "message": "gone"}}
    waiting = annotating("held", **{"for": "30s"})
    world = World(of({**CONFIGS, **TEAM}, annotating(), waiting, {"name": "gone", "event": "Delete", "actions": [event]}))
    await world.create(namespace("ns", team="ml"), named(CONFIG, "c"))
    await world.settle(20)

    await world.patch(NAMESPACE, "ns", {"metadata": {"labels": {"team": "web"}}}, "")
    await world.patch(CONFIG, "c", {"metadata": {"annotations": {"a/mark": "changed"}}})
    await world.settle(60)

    assert await world.annotations(CONFIG, "c") == {"a/mark": "changed"}
    assert await world.events() == []
    assert [*world.reconciler.states(ObjectKey(CONFIG, "ns", "c"))] == []
    await world.patch(NAMESPACE, "ns", {"metadata": {"labels": {"team": "ml"}}}, "")
    await world.settle(20)
    assert await world.annotations(CONFIG, "c") == {"a/mark": "ConfigMap"}
    await world.settle(20)
    assert await world.annotations(CONFIG, "c") == {"a/mark": "ConfigMap", "a/held": "ConfigMap"}


async def test_what_goes_with_its_namespace_is_a_deletion() -> None:
    """Though the namespace, with its labels, is gone before the deletion of the object is seen."""
    event = {"emitEvent": {"type": "Normal", "reason": "Gone", "message": "gone", "regarding": {
        "apiVersion": "v1", "kind": "ConfigMap", "namespace": "log", "name": "log"}}}  # fmt: skip
    targets = [{**CONFIGS, "verbs": ["get"], "consent": "true"}]
    gone = {"name": "gone", "event": "Delete", "actions": [event]}
    world = World(of({**CONFIGS, **TEAM}, gone, targets=targets))
    await world.create(namespace("ns", team="ml"), named(CONFIG, "c"), named(CONFIG, "log", "log"))
    await world.settle()
    await world.delete(CONFIG, "c")
    await world.delete(NAMESPACE, "ns", "")

    await world.settle()

    assert [reason for _, reason, _ in await world.events()] == ["Gone"]


async def test_a_namespace_that_ceases_to_be_watched_counts_no_more() -> None:
    """Its objects leave their group, and join it again with the label."""
    count = {
        "name": "count",
        "aggregate": {"by": "'all'", "counts": {"all": "true"}},
        "actions": [{"metric": {"name": "things", "value": "${group.all}"}}],
    }
    world = World(of({**CONFIGS, **TEAM}, count, metrics={"things": {"type": "gauge", "help": "X."}}))
    await world.create(namespace("one", team="ml"), namespace("two", team="ml"), named(CONFIG, "c", "one"))
    await world.create(named(CONFIG, "c", "two"))
    await world.settle()
    await world.patch(NAMESPACE, "one", {"metadata": {"labels": {"team": None}}}, "")
    await world.settle()
    await world.patch(NAMESPACE, "one", {"metadata": {"labels": {"team": "ml"}}}, "")
    await world.settle()

    values = [value for _, _, value in world.seen.measurements]
    assert (2.0 in values, values[-2:]) == (True, [1.0, 2.0])
