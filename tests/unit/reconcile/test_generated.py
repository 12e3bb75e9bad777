"""What `apply` with `prune` generates follows the loop and the source, and nothing else is ever removed."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from engine.errors import ApiError
from engine.kube.faults import InjectedFault
from engine.model.flags import Mode
from engine.model.generated import FROM, PACK, RULE, SOURCE_UID, left_by
from engine.model.objects import Kind, Object, annotations_of, labels_of, metadata, names_of, ref_of
from engine.model.plan import Delete
from tests.unit.packs.packs import pack, parsed
from tests.world import World, named

CONFIG, SECRET, NAMESPACE = (Kind("v1", kind) for kind in ("ConfigMap", "Secret", "Namespace"))
VERBS = ["get", "list", "watch", "create", "patch", "delete"]
SPACES = {"spaces": {"apiVersion": "v1", "kind": "Namespace", "labelSelector": {"copies": "yes"}}}
COPY = {
    "apiVersion": "v1", "kind": "ConfigMap", "data": "${object.data}",
    "metadata": {"name": "${object.metadata.name}", "namespace": "${item.metadata.name}"},
}  # fmt: skip


def copying(*, modes: dict[str, Mode] | None = None, when: Any = None, params: Any = None, **apply: Any) -> World:
    """A world whose rule copies ConfigMaps with the label `role: source` into the namespaces with the label `copies: yes`."""
    return World(the_pack(when, **apply), modes=modes, params=params)


def the_pack(when: Any = None, **apply: Any) -> Any:
    """Return the pack of `copying`."""
    targets = [
        {"apiVersion": "v1", "kind": "ConfigMap", "verbs": VERBS, "consent": "true"},
        {"apiVersion": "v1", "kind": "Namespace", "verbs": ["list", "watch"], "consent": "true"},
    ]
    watch = {"apiVersion": "v1", "kind": "ConfigMap", "labelSelector": {"role": "source"}}
    rule = {
        "name": "copy",
        "lookup": SPACES,
        "loop": "lookup.spaces",
        "actions": [{"apply": {"prune": True, "manifest": COPY, **apply}}],
        **({"when": when} if when else {}),
    }
    return parsed(pack(watch=watch, targets=targets, rules=[rule]))


def source(name: str = "source", namespace: str = "ns", **data: str) -> Object:
    """A watched object."""
    obj = named(CONFIG, name, namespace, data=data or {"key": "value"})
    return {**obj, "metadata": {**obj["metadata"], "labels": {"role": "source"}}}


async def spaces(world: World, *names: str, copies: str = "yes") -> None:
    """Have namespaces with the label."""
    for name in names:
        await world.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"copies": copies}}})


async def copies(world: World) -> list[str]:
    """Where there are copies."""
    return sorted("/".join(names_of(obj)) for obj in await world.all(CONFIG) if FROM in labels_of(obj))


async def test_copies_are_made_where_the_loop_says_and_removed_where_it_does_not() -> None:
    world = copying()
    await spaces(world, "a", "b")
    await world.create(source())
    await world.settle()
    assert await copies(world) == ["a/source", "b/source"]
    await spaces(world, "b", copies="no")
    await spaces(world, "c")
    await world.settle()
    assert await copies(world) == ["a/source", "c/source"]
    copy = await world.get(CONFIG, "source", "a")
    assert copy["data"] == {"key": "value"}
    assert labels_of(copy)[SOURCE_UID] == metadata(await world.get(CONFIG, "source"))["uid"]


async def test_copies_are_kept_as_they_should_be() -> None:
    world = copying()
    await spaces(world, "a", "b")
    await world.create(source(one="1", two="2"))
    await world.settle()
    await world.patch(CONFIG, "source", {"data": {"one": "edited"}}, "a")
    await world.delete(CONFIG, "source", "b")
    await world.settle()
    assert [(await world.get(CONFIG, "source", space))["data"] for space in "ab"] == [{"one": "1", "two": "2"}] * 2
    await world.patch(CONFIG, "source", {"data": {"two": None}})
    await world.settle()
    assert [(await world.get(CONFIG, "source", space))["data"] for space in "ab"] == [{"one": "1"}] * 2


async def test_nothing_is_written_where_nothing_differs() -> None:
    world = copying()
    await spaces(world, "a")
    await world.create(source())
    await world.settle()
    written = len(world.writes)
    world.relist()
    await world.settle()
    world.restart()
    await world.settle()
    await world.patch(CONFIG, "source", {"metadata": {"annotations": {"example.com/other": "1"}}})
    await world.settle()
    assert len(world.writes) == written


async def test_copies_go_with_their_source_also_where_it_goes_while_the_engine_is_down() -> None:
    world = copying()
    await spaces(world, "a", "b")
    await world.create(source("one"), source("two"))
    await world.settle()
    await world.delete(CONFIG, "one")
    await world.settle()
    assert await copies(world) == ["a/two", "b/two"]
    await world.delete(CONFIG, "two")
    world.restart()
    await world.settle()
    assert await copies(world) == []


async def test_copies_go_with_the_label_of_their_source() -> None:
    world = copying()
    await spaces(world, "a")
    await world.create(source())
    await world.settle()
    await world.patch(CONFIG, "source", {"metadata": {"labels": {"role": None}}})
    await world.settle()
    assert await copies(world) == []
    assert (await world.get(CONFIG, "source"))["data"] == {"key": "value"}


async def test_copies_go_when_the_condition_is_false_and_stay_while_it_has_no_answer() -> None:
    world = copying(when=["object.data.wanted == 'yes'"])
    await spaces(world, "a")
    await world.create(source(wanted="yes"))
    await world.settle()
    await world.patch(CONFIG, "source", {"data": None})
    await world.settle()
    assert await copies(world) == ["a/source"]
    await world.patch(CONFIG, "source", {"data": {"wanted": "no"}})
    await world.settle()
    assert await copies(world) == []


async def test_what_somebody_else_has_made_is_left_alone_unless_it_is_to_be_adopted() -> None:
    for adopt in (False, True):
        world = copying(adopt=adopt)
        await spaces(world, "a")
        await world.create(named(CONFIG, "source", "a", data={"theirs": "yes"}), source())
        await world.settle()
        found = await world.get(CONFIG, "source", "a")
        assert (FROM in labels_of(found)) is adopt
        assert found["data"] == ({"theirs": "yes", "key": "value"} if adopt else {"theirs": "yes"})
        failures = [message for _, reason, message in await world.events() if reason == "RuleFailed"]
        assert len(failures) == (not adopt)
        assert all("ConfigMap a/source is there already, and rule copy has not made it" in each for each in failures)
        await world.delete(CONFIG, "source")
        await world.settle()
        assert len(await world.all(CONFIG, "a")) == (not adopt)


@pytest.mark.parametrize("adopt", [True, False])
async def test_what_somebody_takes_the_label_off_is_theirs_also_where_the_rule_adopts(adopt: bool) -> None:
    """It is neither changed nor removed, over a restart too; the Event says how the rule has it again."""
    world = copying(adopt=adopt)
    await spaces(world, "a", "b")
    await world.create(source())
    await world.settle()
    await world.patch(CONFIG, "source", {"metadata": {"labels": {PACK: None}}, "data": {"key": "edited"}}, "b")
    await world.settle()
    world.restart()
    await world.settle()
    found = await world.get(CONFIG, "source", "b")
    (message,) = {message for _, reason, message in await world.events() if reason == "RuleFailed"}
    await world.delete(CONFIG, "source")
    await world.settle()
    assert (PACK in labels_of(found), found["data"]) == (False, {"key": "edited"})
    assert "label rules.mlops.dev/generated-by has been taken off it, so it is neither changed nor removed. Delete it" in message
    assert ("adopt takes it over" in message, "adopt: true" in message) == (adopt, False)
    assert await copies(world) == ["b/source"]


async def test_what_somebody_has_taken_all_marks_off_is_adopted_again() -> None:
    world = copying(adopt=True)
    await spaces(world, "a")
    await world.create(source())
    await world.settle()
    await world.patch(CONFIG, "source", {"metadata": {"labels": {PACK: None}}}, "a")
    await world.settle()
    await world.patch(CONFIG, "source", {"metadata": {"labels": {FROM: None}}}, "a")
    await world.patch(CONFIG, "source", {"data": {"key": "new"}})
    await world.settle()
    found = await world.get(CONFIG, "source", "a")
    assert (PACK in labels_of(found), found["data"]) == (True, {"key": "new"})


async def test_what_another_source_has_generated_is_not_taken_over() -> None:
    world = copying(adopt=True)
    await spaces(world, "a")
    await world.create(source(namespace="first", by="first"))
    await world.settle()
    await world.create(source(namespace="second", by="second"))
    await world.settle()
    await world.delete(CONFIG, "source", "second")
    await world.settle()
    assert (await world.get(CONFIG, "source", "a"))["data"] == {"by": "first"}


async def test_a_copy_that_somebody_makes_of_a_copy_and_one_without_its_labels_stay() -> None:
    world = copying()
    await spaces(world, "a", "b")
    await world.create(source())
    await world.settle()
    copy = await world.get(CONFIG, "source", "a")
    marks = {"labels": labels_of(copy), "annotations": annotations_of(copy)}
    await world.create({**copy, "metadata": {"name": "mine", "namespace": "other", **marks}})
    await world.patch(CONFIG, "source", {"metadata": {"labels": {PACK: None, FROM: None}}}, "b")
    await world.delete(CONFIG, "source")
    await world.settle()
    left = sorted(f"{metadata(obj)['namespace']}/{metadata(obj)['name']}" for obj in await world.all(CONFIG))
    assert left == ["b/source", "other/mine"]


async def test_copies_stay_when_their_source_is_made_anew_while_the_engine_is_down() -> None:
    world = copying()
    await spaces(world, "a")
    await world.create(source())
    await world.settle()
    before = metadata(await world.get(CONFIG, "source", "a"))["uid"]
    await world.delete(CONFIG, "source")
    await world.create(source())
    world.restart()
    await world.settle()
    after = await world.get(CONFIG, "source", "a")
    assert metadata(after)["uid"] == before
    assert labels_of(after)[SOURCE_UID] == metadata(await world.get(CONFIG, "source"))["uid"]


@pytest.mark.parametrize("how", ["off", "removed", "without the rule"])
async def test_a_pack_that_is_off_or_gone_keeps_what_it_has_generated_and_says_so(
    how: str, caplog: pytest.LogCaptureFixture
) -> None:
    world = copying()
    await spaces(world, "a")
    await world.create(source(), source("gone"))
    await world.settle()
    if how == "off":
        world.use(the_pack(), modes={"example": Mode.OFF})
    elif how == "removed":
        world.use()
    else:
        world.use(parsed(pack()))
    await world.delete(CONFIG, "gone")
    await spaces(world, "a", copies="no")
    await world.settle(60, step=30)
    assert await copies(world) == ["a/gone", "a/source"]
    assert "what it has generated is kept: kubectl get ConfigMap -A -l rules.mlops.dev/generated-by=example" in caplog.text
    world.use(the_pack())
    await world.settle()
    assert await copies(world) == []


async def test_an_audit_says_what_it_would_remove() -> None:
    world = copying()
    await spaces(world, "a")
    await world.create(source())
    await world.settle()
    world.use(the_pack(), modes={"example": Mode.AUDIT})
    await spaces(world, "a", copies="no")
    await world.settle()
    assert await copies(world) == ["a/source"]
    (act,) = [act for act in world.seen.acts if act.result == "audited"]
    assert act.action == "apply" and isinstance(act.step, Delete) and str(act.step.target) == "ConfigMap a/source"


async def test_removals_spend_the_budget() -> None:
    world = copying(params={"example": {"disruptionsPerMinute": 3}})
    await spaces(world, "a", "b", "c")
    await world.create(source())
    await world.settle()
    await world.delete(CONFIG, "source")
    await world.settle()
    assert len(await copies(world)) == 3
    await world.settle(180, step=10)
    assert [reason for _, reason, _ in await world.events()] == ["NamespaceSuspended"]
    world.use(the_pack(), params={"example": {"disruptionsPerMinute": 3}}, resume="go on")
    await world.settle(180, step=10)
    assert await copies(world) == []


async def relabelled_fleet(world: World) -> None:
    """Have twenty copies whose reason is gone at once."""
    names = [f"space-{number}" for number in range(20)]
    await spaces(world, *names)
    await world.create(source())
    await world.settle()
    assert len(await copies(world)) == 20
    await spaces(world, *names, copies="no")


async def test_a_fleet_that_is_relabelled_loses_nothing_until_somebody_says_so() -> None:
    world = copying()
    await relabelled_fleet(world)
    await world.settle(600, step=60)
    world.restart()
    await world.settle(600, step=60)
    assert len(await copies(world)) == 20
    reported = [message for _, reason, message in await world.events() if reason == "RemovalSuspended"]
    assert len(reported) == 1 and "rule copy would remove 20 of the 20 objects it has generated, and removes none" in reported[0]
    world.use(the_pack(), resume="that is right")
    await world.settle(60, step=30)
    assert await copies(world) == []


FLEET = [f"space-{number}" for number in range(20)]


def resume(world: World, word: str, mode: Mode = Mode.ENFORCE) -> None:
    """Have somebody say that what is suspended goes on."""
    world.use(the_pack(), resume=word, modes={"example": mode})


async def test_a_fleet_that_has_its_labels_again_lost_nothing_and_is_suspended_no_more() -> None:
    world = copying()
    await relabelled_fleet(world)
    await world.settle(60, step=30)
    (held,) = world.reconciler.generated.held()
    assert (held.pack, held.rule, held.objects, held.whole, held.flows) == ("example", "copy", 20, 20, frozenset(["ns"]))
    await spaces(world, *FLEET)
    await world.settle(60, step=30)
    assert len(await copies(world)) == 20
    assert world.reconciler.generated.held() == []


@pytest.mark.parametrize("first", ["undone, then resumed", "undone in Audit, then resumed", "resumed in Audit, then undone"])
async def test_a_resume_without_anything_held_back_is_no_word_about_the_next_mistake(first: str) -> None:
    world = copying()
    await relabelled_fleet(world)
    await world.settle(60, step=30)
    mode = Mode.AUDIT if "Audit" in first else Mode.ENFORCE
    resume(world, "", mode)
    for step in first.replace(" in Audit", "").split(", then "):
        if step == "undone":
            await spaces(world, *FLEET)
        else:
            resume(world, "go on", mode)
        await world.settle(80, step=20)
    resume(world, "go on")
    await spaces(world, *FLEET, copies="no")
    await world.settle(600, step=60)
    assert len(await copies(world)) == 20
    reported = [message for _, reason, message in await world.events() if reason == "RemovalSuspended"]
    assert len(reported) == 2
    resume(world, "it is right")
    await world.settle(60, step=30)
    assert await copies(world) == []


async def test_what_was_confirmed_and_is_not_due_any_more_is_asked_about_again() -> None:
    world = copying(params={"example": {"disruptionsPerMinute": 100}})
    await relabelled_fleet(world)
    await world.settle(60, step=30)
    world.engine.faults.add(InjectedFault(503, verb="delete", kind="ConfigMap", times=None))
    resume(world, "go on")
    await world.settle(60, step=30)
    await spaces(world, *FLEET)
    await world.settle(60, step=30)
    world.engine.faults.clear()
    await spaces(world, *FLEET, copies="no")
    await world.settle(600, step=60)
    assert len(await copies(world)) == 20


async def test_what_is_left_of_a_mistake_stays_suspended_and_goes_when_it_is_confirmed() -> None:
    world = copying()
    await relabelled_fleet(world)
    await world.settle(60, step=30)
    await spaces(world, *FLEET[:12])
    await world.settle(60, step=30)
    (held,) = world.reconciler.generated.held()
    assert held.objects == 8
    resume(world, "the rest may go")
    await world.settle(60, step=30)
    assert len(await copies(world)) == 12
    await spaces(world, *FLEET[:12], copies="no")
    await world.settle(600, step=60)
    assert len(await copies(world)) == 12


async def test_a_suspension_about_a_source_that_is_gone_ends_when_its_copies_are_gone() -> None:
    world = copying()
    await spaces(world, *FLEET)
    await world.create(source())
    await world.settle()
    await world.delete(CONFIG, "source")
    await world.settle(60, step=30)
    assert world.reconciler.generated.held() != []
    for space in FLEET:
        await world.delete(CONFIG, "source", space)
    await world.settle(60, step=30)
    assert world.reconciler.generated.held() == []


async def test_a_replica_that_does_not_lead_any_more_forgets_what_was_held_back() -> None:
    world = copying()
    await relabelled_fleet(world)
    await world.settle(60, step=30)
    world.reconciler.generated.forget()
    resume(world, "said to the other replica")
    await world.settle(600, step=60)
    assert len(await copies(world)) == 20


async def test_what_is_gone_already_and_what_is_held_back_are_distinguished() -> None:
    world = copying()
    await spaces(world, *FLEET[:12])
    await world.create(source())
    await world.settle()
    for name in FLEET[:12]:
        await spaces(world, name, copies="no")
        await world.settle(1)
    assert len(await copies(world)) == 6
    (held,) = world.reconciler.generated.held()
    assert str(held) == (
        "rule copy would remove 12 of the 12 objects it has generated: it has just removed 6, and holds back 6 more"
    )


async def test_what_is_made_again_after_its_removal_is_counted_once() -> None:
    """The mistake is undone and made again within a minute: no more objects are spoken of than there are."""
    world = copying()
    await spaces(world, *FLEET[:10])
    await world.create(source())
    await world.settle()
    await spaces(world, *FLEET[:4], copies="no")
    await world.settle(5)
    left = await copies(world)
    await spaces(world, *FLEET[:4])
    await world.settle(5)
    await spaces(world, FLEET[9], copies="no")
    await world.settle(5)
    await spaces(world, *FLEET[:8], copies="no")
    await world.settle(5)
    (held,) = world.reconciler.generated.held()
    assert (len(left), len(await copies(world))) == (6, 10 - held.gone)
    assert (held.whole, held.objects + held.gone) == (10, 9)


async def test_sources_that_lose_their_labels_at_once_keep_half_of_their_copies_at_least() -> None:
    world = copying()
    await spaces(world, "a")
    await world.create(*(source(f"source-{number}") for number in range(20)))
    await world.settle()
    for number in range(20):
        await world.patch(CONFIG, f"source-{number}", {"metadata": {"labels": {"role": None}}})
    await world.settle(600, step=30)
    assert len(await copies(world)) == 20


async def test_sources_that_lose_their_labels_one_by_one_keep_half_of_their_copies() -> None:
    world = copying()
    await spaces(world, "a")
    await world.create(*(source(f"source-{number}") for number in range(20)))
    await world.settle()
    for number in range(20):
        await world.patch(CONFIG, f"source-{number}", {"metadata": {"labels": {"role": None}}})
        await world.settle(1)
    await world.settle(600, step=30)
    assert len(await copies(world)) == 10


async def test_nothing_is_removed_while_a_kind_is_not_served() -> None:
    world = copying()
    await spaces(world, "a")
    await world.create(source())
    await world.settle()
    world.caches.outdated.add(NAMESPACE)
    world._relate = _nothing  # type: ignore[method-assign]
    await world.delete(CONFIG, "source")
    await world.settle(60, step=30)
    assert await copies(world) == ["a/source"]


async def _nothing() -> None:
    pass


@pytest.mark.parametrize("answer", [401, 403, 404, 429, 500, 503])
async def test_nothing_is_removed_while_the_api_server_does_not_say_that_the_source_is_gone(answer: int) -> None:
    world = copying()
    await spaces(world, "a")
    await world.create(source())
    await world.settle()
    world.engine.faults.add(InjectedFault(answer, "list", "ConfigMap", None, None, None, None, 0, None))
    await world.delete(CONFIG, "source")
    await world.settle(60, step=30)
    assert await copies(world) == ["a/source"]
    world.engine.faults.clear()
    await world.settle(60, step=30)
    assert await copies(world) == []


async def test_a_removal_does_not_meet_what_has_changed_meanwhile() -> None:
    world = copying()
    await spaces(world, "a")
    await world.create(source())
    await world.settle()
    stale = await world.get(CONFIG, "source", "a")
    await world.patch(CONFIG, "source", {"metadata": {"labels": {FROM: None}}}, "a")
    step = Delete(ref_of(stale), resource_version=str(metadata(stale)["resourceVersion"]))
    with pytest.raises(ApiError, match="ResourceVersion in the precondition"):
        await world.reconciler.actor.perform(step, dry_run=False)


async def test_what_another_namespace_denies_is_kept() -> None:
    world = copying()
    await spaces(world, "a")
    await world.create(source())
    await world.settle()
    world.use(the_pack(), params={"example": {"otherNamespaces": "Deny"}})
    await world.delete(CONFIG, "source")
    await world.settle(60, step=30)
    assert await copies(world) == ["a/source"]


async def test_what_lives_in_no_namespace_is_generated_too() -> None:
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "${object.metadata.name}"}}
    targets = [{"apiVersion": "v1", "kind": "Namespace", "verbs": VERBS, "consent": "true"}]
    rule = {"name": "make", "actions": [{"apply": {"prune": True, "manifest": manifest}}]}
    world = World(parsed(pack(targets=targets, rules=[rule])))
    await world.create(named(CONFIG, "made"))
    await world.settle()
    world.relist()
    await world.settle()
    assert PACK in labels_of(await world.get(NAMESPACE, "made", ""))
    await world.delete(CONFIG, "made")
    await world.settle()
    assert "made" not in [metadata(obj)["name"] for obj in await world.all(NAMESPACE)]


async def test_what_shows_after_its_source_is_gone_goes_too() -> None:
    world = copying()
    await spaces(world, "a")
    await world.create(source())
    await world.settle()
    copy = await world.get(CONFIG, "source", "a")
    await world.delete(CONFIG, "source")
    await world.settle()
    assert await copies(world) == []
    meta = {key: metadata(copy)[key] for key in ("name", "namespace", "labels", "annotations")}
    await world.create({**copy, "metadata": meta})  # from a backup
    await world.settle(60, step=10)
    assert await copies(world) == []


async def test_the_watched_object_itself_is_not_generated() -> None:
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "${object.metadata.name}"}, "data": {"a": "b"}}
    targets = [{"apiVersion": "v1", "kind": "ConfigMap", "verbs": VERBS}]
    rule = {"name": "itself", "actions": [{"apply": {"prune": True, "adopt": True, "manifest": manifest}}]}
    world = World(parsed(pack(targets=targets, rules=[rule])))
    await world.create(source())
    await world.settle()
    assert labels_of(await world.get(CONFIG, "source")) == {"role": "source"}


async def test_many_copies_of_a_source_that_is_gone_go_at_the_pace_of_the_budget() -> None:
    world = copying(params={"example": {"disruptionsPerMinute": 8}})
    await spaces(world, *(f"space-{number}" for number in range(4)))
    await world.create(source("one"), source("two"), source("three"))
    await world.settle(120, step=10)
    world.use(the_pack(), params={"example": {"disruptionsPerMinute": 8}}, resume="go on")
    await world.settle(300, step=10)
    assert len(await copies(world)) == 12
    await world.delete(CONFIG, "one")
    await world.settle(60, step=10)
    assert {name.rpartition("/")[2] for name in await copies(world)} == {"two", "three"}


async def test_a_write_does_not_meet_another_object_under_the_name() -> None:
    world = copying()
    await spaces(world, "a")
    await world.create(source())
    await world.settle()
    world._relate = _nothing  # type: ignore[method-assign]
    await world.delete(CONFIG, "source", "a")
    await world.create(named(CONFIG, "source", "a", data={"theirs": "yes"}))
    await world.patch(CONFIG, "source", {"data": {"key": "new"}})
    await world.settle()
    found = await world.get(CONFIG, "source", "a")
    assert found["data"] == {"theirs": "yes"} and FROM not in labels_of(found)


async def test_of_two_rules_that_generate_an_object_the_second_says_whose_it_is() -> None:
    """It is refused each time, and the object stays as the first one has made it."""
    original = the_pack()
    again = dataclasses.replace(original.rules[0], name="again")
    world = World(dataclasses.replace(original, rules=(*original.rules, again)))
    await spaces(world, "a")
    await world.create(source())
    await world.settle(60, step=10)
    (message,) = [message for _, reason, message in await world.events() if reason == "RuleFailed"]
    assert message.startswith("Rule example/again failed: ConfigMap a/source is generated by rule copy of pack example from ")
    assert labels_of(await world.get(CONFIG, "source", "a"))[RULE] == "copy"


async def test_a_renamed_rule_says_how_to_delete_what_the_old_one_has_left() -> None:
    world = copying()
    await spaces(world, "a")
    await world.create(source())
    await world.settle()
    renamed = dataclasses.replace(the_pack(), name="renamed")
    world.use(renamed)
    await world.settle(60, step=10)
    (message,) = [message for _, reason, message in await world.events() if reason == "RuleFailed"]
    command = "kubectl delete ConfigMap -A -l rules.mlops.dev/generated-by=example,rules.mlops.dev/generated-rule=copy"
    assert f"If that rule is gone or renamed, delete what it has left, and this one is made: {command}" in message


@pytest.mark.parametrize("restart", [True, False])
@pytest.mark.parametrize("names", ["rule", "pack", "both", "moved"])
async def test_what_a_rule_has_generated_under_a_previous_name_is_its_own(names: str, restart: bool) -> None:
    """It is written under the new name where it has a reason, and removed where it has none; nothing is made twice."""
    world = copying()
    await spaces(world, "a", "b")
    await world.create(source())
    await world.settle()
    before = {space: metadata(await world.get(CONFIG, "source", space))["uid"] for space in "ab"}
    world.use(renamed(names))
    if restart:
        world.restart()
    await spaces(world, "b", copies="no")
    await spaces(world, "c")
    await world.settle(60, step=10)
    assert await copies(world) == ["a/source", "c/source"]
    found = await world.get(CONFIG, "source", "a")
    pack_name, rule_name = renamed(names).name, renamed(names).rules[0].name
    assert metadata(found)["uid"] == before["a"]
    assert (labels_of(found)[PACK], labels_of(found)[RULE]) == (pack_name, rule_name)
    assert [reason for _, reason, _ in await world.events() if reason == "RuleFailed"] == []
    written = len(world.writes)
    world.restart()
    await world.settle()
    assert len(world.writes) == written


@pytest.mark.parametrize("names", ["rule", "pack"])
async def test_what_is_left_under_a_previous_name_goes_with_its_source(names: str) -> None:
    """Also where the source goes before the rule is evaluated under its new name."""
    world = copying()
    await spaces(world, "a")
    await world.create(source())
    await world.settle()
    world.use(renamed(names))
    world.restart()
    await world.delete(CONFIG, "source", "ns")
    await world.settle(120, step=10)
    assert await copies(world) == []


async def test_what_another_rule_generates_that_is_there_is_nobodys_by_a_previous_name() -> None:
    """Whatever a pack says of the names that it had: what is in force keeps what it has made."""
    world = copying()
    await spaces(world, "a", "b")
    await world.create(source())
    await world.settle()
    claiming = dataclasses.replace(the_pack(when="false"), name="other", previous_names=("example",))
    world.use(the_pack(), claiming)
    await world.settle(120, step=10)
    world.use(claiming)
    kept = await copies(world)
    await world.settle(120, step=10)
    assert kept == ["a/source", "b/source"]
    assert await copies(world) == []


async def test_no_event_says_that_what_a_renamed_rule_has_generated_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    world = copying()
    world.use(renamed("rule"))
    assert [record for record in caplog.records if "is not in force any more" in record.message] == []
    world.use(dataclasses.replace(the_pack(), name="other"))
    assert [record.message for record in caplog.records if "is not in force any more" in record.message] != []


def renamed(names: str) -> Any:
    """The pack of `copying` after a change of names: of the rule, of the pack, of both, or as it has come from another pack."""
    original = the_pack()
    rule = original.rules[0]
    if names == "moved":
        moved = dataclasses.replace(rule, name="spread", previous_names=("example/copy",))
        return dataclasses.replace(original, name="other", rules=(moved,))
    if names != "pack":
        rule = dataclasses.replace(rule, name="spread", previous_names=("copy",))
    pack_names = {} if names == "rule" else {"name": "other", "previous_names": ("example",)}
    return dataclasses.replace(original, rules=(rule,), **pack_names)


def test_a_kind_of_a_group_is_named_as_kubectl_takes_it() -> None:
    obj = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"labels": {PACK: "p", RULE: "r"}}}
    assert left_by(obj) == f"kubectl delete Deployment.v1.apps -A -l {PACK}=p,{RULE}=r"


async def test_a_rule_whose_own_copy_comes_from_another_source_is_not_advised_to_delete_them() -> None:
    world = copying()
    await spaces(world, "a")
    await world.create(source(namespace="first"))
    await world.settle()
    await world.create(source(namespace="second"))
    await world.settle()
    (message,) = [message for _, reason, message in await world.events() if reason == "RuleFailed"]
    assert "is generated by rule copy" in message and "kubectl delete" not in message


async def test_a_missing_right_is_granted_with_the_right_to_watch() -> None:
    """What is generated is followed, so a grant of list alone would be refused next."""
    world = copying()
    await spaces(world, "a")
    why = 'configmaps is forbidden: User "system:serviceaccount:ns:robot" cannot patch resource "configmaps" in API group "" '
    why += 'in the namespace "a"'
    fault = InjectedFault(ApiError(403, "Forbidden", why), verb="patch", kind="ConfigMap", namespace="a", times=None)
    world.engine.faults.add(fault)
    await world.create(source())
    await world.settle(90, step=5)
    (message,) = [message for _, reason, message in await world.events() if reason == "RuleWaiting"]
    assert "--verb=create,delete,get,list,patch,watch --resource=configmaps" in message
