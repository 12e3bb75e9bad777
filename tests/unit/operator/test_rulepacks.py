"""Objects of kind RulePack on an embedded cluster: they come into force, break, and get a status."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.cel import backend
from engine.cli.get import table, written
from engine.cli.last_good import earlier
from engine.cli.unread import stopped, unexplained, who_reads
from engine.errors import ApiError, UsageError
from engine.kube.api import Page, Selection
from engine.kube.embedded import EmbeddedCluster
from engine.kube.faults import Effect, InjectedFault
from engine.model.objects import Kind, Object, Resource, annotations_of, dig
from engine.packs.crd import custom_resource_definition
from engine.packs.last_applied import LAST_APPLIED
from engine.packs.pack import RESUME
from engine.packs.store import PackStore
from tests.unit.operator.test_operator import CONFIG_MAP, PACK, WIDGET, Fixture, ask

RULE_PACK = Resource(Kind("rules.mlops.dev/v1alpha1", "RulePack"), "rulepacks", True)
CANNOT_PATCH = ApiError(
    403, "Forbidden", 'widgets.example.com "one" is forbidden: User "system:serviceaccount:system:rulepack" cannot patch '
    'resource "widgets" in API group "example.com" in the namespace "default"',
)  # fmt: skip
STRICTER = "rules with a stricter mode of their own"
LEASE = Resource(Kind("coordination.k8s.io/v1", "Lease"), "leases", True)
DEFINITION = Resource(Kind("apiextensions.k8s.io/v1", "CustomResourceDefinition"), "customresourcedefinitions", False)


class Widgets(EmbeddedCluster):
    """An embedded cluster that answers a list of widgets, and a write of a status, after so many seconds."""

    seconds, status_seconds = 0.0, 0.0

    async def pages(self, selection: Selection) -> AsyncGenerator[Page, None]:
        if selection.resource == WIDGET:
            await self._clock.sleep(self.seconds)
        async for page in super().pages(selection):
            yield page

    async def apply_status(self, resource: Resource, namespace: str, name: str, body: Object, manager: str) -> Object:
        if self.status_seconds:
            await self._clock.sleep(self.status_seconds)
        return await super().apply_status(resource, namespace, name, body, manager)


class Packs(Fixture):
    """The fixture, with the kind RulePack served."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.cluster: Widgets = Widgets(self.clock)
        self.cluster.register(WIDGET)

    async def serve(self) -> None:
        await self.cluster.create(DEFINITION, "", custom_resource_definition())

    async def put(self, name: str, spec: dict[str, Any], namespace: str = "system") -> None:
        """Create or replace a RulePack."""
        body = {"apiVersion": RULE_PACK.kind.api_version, "kind": "RulePack", "metadata": {"name": name}, "spec": spec}
        try:
            await self.cluster.create(RULE_PACK, namespace, body)
        except ApiError:
            await self.cluster.replace(RULE_PACK, namespace, {**await self.got(name, namespace), "spec": spec})

    async def got(self, name: str, namespace: str = "system") -> Object:
        return await self.cluster.get(RULE_PACK, namespace, name)

    async def condition(self, kind: str, name: str, namespace: str = "system") -> tuple[str, str, str]:
        """Status, reason and message of a condition."""
        conditions = dig(await self.got(name, namespace), ("status", "conditions"), ())
        (found,) = [each for each in conditions if each["type"] == kind]
        return found["status"], found["reason"], found["message"]

    def written(self, verb: str = "patch") -> list[str]:
        """Which RulePacks have been written, and how."""
        return [str(call.ref) for call in self.cluster.writes if call.ref.kind == RULE_PACK.kind and call.verb == verb]


def spec(text: str = PACK, **keys: Any) -> dict[str, Any]:
    """The spec of a pack of these tests."""
    written: dict[str, Any] = yaml.safe_load(text)["spec"]
    return written | keys


@pytest.fixture
async def packs(tmp_path: Path) -> Packs:
    packs = Packs(tmp_path)
    await packs.serve()
    return packs


async def test_a_shipped_pack_is_visible_as_a_reference(packs: Packs) -> None:
    """It says how the pack fares; its text stays in the image. One that is deleted comes back."""
    async with packs.running(packs.operator()):
        await packs.clock.advance(5)
        first = await packs.got("marks")
        await packs.cluster.delete(RULE_PACK, "system", "marks")
        await packs.clock.advance(10)

        assert first["spec"] == {"shipped": "marks"}
        assert first["status"]["mode"] == "Enforce"
        assert first["status"]["ruleCount"] == 1
        assert await packs.condition("Ready", "marks") == ("True", "InForce", "the pack is in force, and acts")


async def test_a_disabled_pack_does_not_act_while_no_rulepack_can_come_back(packs: Packs) -> None:
    """As where somebody deletes the kind: the API server takes no new object then. With one that comes, defaults count again."""
    async with packs.running(packs.operator()):
        await packs.clock.advance(5)
        await packs.cluster.patch(RULE_PACK, "system", "marks", {"spec": {"mode": "Disabled"}})
        await packs.clock.advance(5)
        packs.cluster.faults.add(InjectedFault(405, verb="create", kind="RulePack", times=3))
        await packs.cluster.delete(RULE_PACK, "system", "marks")
        await packs.clock.advance(5)
        await packs.widget("one")
        await packs.clock.advance(5)
        meanwhile = annotations_of(await packs.cluster.get(WIDGET, "default", "one"))
        await packs.clock.advance(60)
        back = annotations_of(await packs.cluster.get(WIDGET, "default", "one"))

    assert (meanwhile, bool(back)) == ({}, True)


@pytest.mark.parametrize(("flag", "marks"), [(None, False), ("Enforce", True)])
async def test_a_disabled_pack_does_not_act_after_a_restart_without_the_kind(packs: Packs, flag: str | None, marks: bool) -> None:
    """Nobody can read the RulePack that disabled it; the Lease has which rules were Off. A flag says it plainly."""
    async with packs.running(packs.operator()):
        await packs.clock.advance(5)
        await packs.cluster.patch(RULE_PACK, "system", "marks", {"spec": {"mode": "Disabled"}})
        await packs.clock.advance(5)
    await packs.cluster.delete(DEFINITION, "", "rulepacks.rules.mlops.dev")
    if flag:
        await packs.config_map("rulepack-feature-flags", {"marks": flag})
    async with packs.running(packs.operator()):
        await packs.clock.advance(5)
        await packs.widget("one")
        await packs.clock.advance(100)
        without = annotations_of(await packs.cluster.get(WIDGET, "default", "one"))
        await packs.serve()
        await packs.clock.advance(30)
        served = annotations_of(await packs.cluster.get(WIDGET, "default", "one"))

    assert (bool(without), bool(served)) == (marks, True)


async def test_a_config_map_does_not_act_under_the_name_of_a_disabled_pack(packs: Packs) -> None:
    async with packs.running(packs.operator()):
        await packs.clock.advance(5)
        await packs.cluster.patch(RULE_PACK, "system", "marks", {"spec": {"mode": "Disabled"}})
        await packs.clock.advance(5)
        await packs.config_map("own-marks", {"pack.yaml": PACK}, pack=True)
        await packs.clock.advance(5)
        await packs.widget("one")
        await packs.clock.advance(5)
        status, reason, message = await packs.condition("Accepted", "marks")

        assert annotations_of(await packs.cluster.get(WIDGET, "default", "one")) == {}
        assert (status, reason) == ("True", "Warnings")
        assert message.startswith("spec.shipped: pack 'marks' is that in configmap/system/own-marks/pack.yaml; mode and params")


async def test_an_object_is_in_force_until_it_is_deleted(packs: Packs) -> None:
    await packs.widget("one")
    async with packs.running(packs.operator()):
        await packs.put(
            "own", spec() | {"rules": [{"name": "own", "actions": [{"annotate": {"annotations": {"example.com/own": "yes"}}}]}]}
        )
        await packs.clock.advance(5)
        marked = await packs.cluster.get(WIDGET, "default", "one")
        await packs.cluster.delete(RULE_PACK, "system", "own")
        await packs.clock.advance(5)
        await packs.widget("two")
        await packs.clock.advance(5)
        later = await packs.cluster.get(WIDGET, "default", "two")

    assert marked["metadata"]["annotations"]["example.com/own"] == "yes"
    assert "example.com/own" not in later["metadata"]["annotations"]


async def test_a_refused_spec_leaves_the_last_good_one_in_force(packs: Packs) -> None:
    """The status has each fault with its path, and says which generation acts."""
    async with packs.running(packs.operator()):
        await packs.put("marks", spec(description="own"))
        await packs.clock.advance(5)
        broken = spec()
        broken["rules"][0]["wehn"] = broken["rules"][0].pop("when")
        await packs.put("marks", broken)
        await packs.clock.advance(5)
        await packs.widget("one")
        await packs.clock.advance(5)

        status = (await packs.got("marks"))["status"]
        accepted = await packs.condition("Accepted", "marks")
        ready = await packs.condition("Ready", "marks")
        stalled = await packs.condition("Stalled", "marks")

    assert status["generationInForce"] < status["observedGeneration"]
    assert status["faults"] == [
        {"path": "spec.rules[0].wehn", "code": "schema", "message": "unknown key 'wehn'; expected 'when' (did you mean that?)"}
    ]
    assert accepted == ("False", "Invalid", "spec.rules[0].wehn: unknown key 'wehn'; expected 'when' (did you mean that?)")
    assert ready[2] == f"it is not accepted; the last good text, generation {status['generationInForce']}, stays in force"
    assert stalled[0] == "True"
    assert await packs.mark("one") == "big"


async def test_a_schedule_that_is_wrong_is_said_as_lint_says_it(packs: Packs) -> None:
    """With what to write in its place."""
    wrong = spec()
    wrong["rules"][0]["schedule"] = {"cron": "0 24 * * *", "timeZone": "UTC+1"}
    async with packs.running(packs.operator()):
        await packs.put("marks", wrong)
        await packs.clock.advance(5)
        status = (await packs.got("marks"))["status"]

    assert [fault["message"] for fault in status["faults"]] == [
        "the text '0 24 * * *' has the hour 24; expected hours from 0 to 23 (did you mean '0 0 * * *'?)",
        "the text 'UTC+1' is no time zone; expected a name of the IANA database, such as Europe/Berlin, "
        "or 'Etc/GMT-1': always 1 h ahead of UTC, without summer time",
    ]


async def test_a_spec_that_was_never_accepted_is_not_in_force(packs: Packs) -> None:
    async with packs.running(packs.operator()):
        await packs.put("own", {"watch": {"apiVersion": "v1", "kind": "ConfigMap"}, "rules": []})
        await packs.clock.advance(5)
        ready = await packs.condition("Ready", "own")

    assert ready == ("False", "Invalid", "it is not accepted; nothing is in force")


async def test_an_object_elsewhere_is_not_in_force(packs: Packs) -> None:
    """It says so once, and leaves what an operator of that namespace wrote."""
    await packs.cluster.create(Resource(Kind("v1", "Namespace"), "namespaces", False), "", {"metadata": {"name": "team"}})
    await packs.put("own", spec(), "team")

    async with packs.running(packs.operator()):
        await packs.clock.advance(60)
        accepted, stalled = await packs.condition("Accepted", "own", "team"), await packs.condition("Stalled", "own", "team")

    assert stalled[2] == (
        "it is not accepted; nothing is in force. Move it: apply its manifest with -n system, and delete it here: "
        "kubectl delete rulepack own -n team"
    )
    assert accepted == (
        "False", "NotAnOperatorNamespace", "metadata.namespace: only a RulePack in the operator's namespace, system, is in force",
    )  # fmt: skip
    assert packs.written().count("RulePack team/own") == 1


async def test_an_object_elsewhere_has_its_status_as_fast_as_an_own_one(packs: Packs) -> None:
    """At once, and not with the next counts; after an edit too."""
    await packs.cluster.create(Resource(Kind("v1", "Namespace"), "namespaces", False), "", {"metadata": {"name": "team"}})

    async with packs.running(packs.operator()):
        await packs.clock.advance(31)
        for size in (10, 11):
            await packs.put("own", spec(PACK.replace("size > 10", f"size > {size}")), "team")
            await packs.clock.advance(1)
            found = await packs.got("own", "team")

            assert dig(found, ("status", "observedGeneration"), 0) == found["metadata"]["generation"]


async def test_a_mode_in_the_object_disables_a_shipped_pack(packs: Packs) -> None:
    async with packs.running(packs.operator()):
        await packs.clock.advance(5)
        await packs.cluster.patch(RULE_PACK, "system", "marks", {"spec": {"mode": "Disabled"}})
        await packs.clock.advance(5)
        await packs.widget("one")
        await packs.clock.advance(5)
        ready = await packs.condition("Ready", "marks")

    assert await packs.mark("one") is None
    assert ready[:2] == ("True", "Disabled")


async def test_nothing_of_a_refused_reference_takes_effect(packs: Packs) -> None:
    """A mode beside a param that does not fit does nothing; the status says which generation stays in force."""
    async with packs.running(packs.operator()):
        await packs.clock.advance(5)
        await packs.cluster.patch(RULE_PACK, "system", "marks", {"spec": {"mode": "Audit"}})
        await packs.clock.advance(5)
        good = (await packs.got("marks"))["metadata"]["generation"]
        await packs.cluster.patch(RULE_PACK, "system", "marks", {"spec": {"mode": "Enforce", "params": {"mark": 7}}})
        await packs.clock.advance(5)
        await packs.widget("one")
        await packs.clock.advance(5)
        status = (await packs.got("marks"))["status"]
        ready = await packs.condition("Ready", "marks")
        unmarked = await packs.mark("one")
    async with packs.running(packs.operator()):
        await packs.clock.advance(5)
        after_restart = await packs.condition("Ready", "marks")
        mode = (await packs.got("marks"))["status"]["mode"]

    assert unmarked is None
    assert (status["mode"], status["generationInForce"], status["observedGeneration"]) == ("Audit", good, good + 1)
    assert ready[2] == f"it is not accepted; the last good text, generation {good}, stays in force"
    assert (after_restart[2], mode) == ("it is not accepted; nothing is in force", "Disabled")


async def test_what_rules_did_is_counted_over_a_takeover(packs: Packs) -> None:
    """The next leader goes on from the counts in the status; a status is written only where something differs."""
    first, second = packs.operator(), packs.operator()
    async with packs.running(first, second) as (stop, _):
        await packs.widget("one")
        await packs.widget("two")
        await packs.clock.advance(10)
        before = (await packs.got("marks"))["status"]
        writes = len(packs.written())
        await packs.clock.advance(60)
        idle = len(packs.written()) - writes
        stop.set()
        await packs.clock.advance(30)
        await packs.widget("three")
        await packs.clock.advance(10)
        after = (await packs.got("marks"))["status"]

    assert (before["fired"], after["fired"]) == (2, 3)
    assert after["parts"][0]["rules"][0]["lastObject"] == "Widget default/three"
    assert idle == 0


async def test_what_is_done_just_before_the_end_is_counted(packs: Packs) -> None:
    """A status in which only counts differ is written every five seconds; when the process ends, once more."""
    async with packs.running(packs.operator()) as (stop,):
        await packs.clock.advance(40)
        await packs.widget("one")
        await packs.clock.advance(0.2)
        counted = (await packs.got("marks"))["status"]["fired"]
        stop.set()
        await packs.clock.advance(1)
        status = (await packs.got("marks"))["status"]

    assert counted == 0
    assert (status["fired"], status["parts"][0]["rules"][0]["lastObject"]) == (1, "Widget default/one")


async def test_a_replica_that_does_not_lead_writes_nothing_when_it_ends(packs: Packs) -> None:
    async with packs.running(packs.operator(), packs.operator()) as (_, stop):
        await packs.clock.advance(40)
        await packs.widget("one")
        await packs.clock.advance(0.2)
        stop.set()
        await packs.clock.advance(0.2)

        assert (await packs.got("marks"))["status"]["fired"] == 0


async def test_the_last_counts_hold_up_the_end_for_seconds_only(packs: Packs, caplog: pytest.LogCaptureFixture) -> None:
    """Where the API server does not answer, the Lease is released all the same."""
    async with packs.running(packs.operator()) as (stop,):
        await packs.clock.advance(40)
        await packs.widget("one")
        await packs.clock.advance(0.2)
        packs.cluster.status_seconds = 100.0
        stop.set()
        await packs.clock.advance(5)
        lease = await packs.cluster.get(LEASE, "system", "rulepack")

    assert lease["spec"]["holderIdentity"] == ""
    assert "the statuses of RulePacks were not written within 3 s" in caplog.text


async def test_what_waits_is_counted_by_rule(packs: Packs) -> None:
    """After a minute: how many, since when the first of them, and for what; the column has their sum, and goes back to 0."""
    target = {"apiVersion": "v1", "kind": "ConfigMap"}
    action = {"patch": {"target": {**target, "name": "marks"}, "patch": {"data": {"${object.metadata.name}": "seen"}}}}
    rule = {"name": "patches", "oncePer": "object.metadata.uid", "actions": [action]}
    async with packs.running(packs.operator()):
        await packs.cluster.create(CONFIG_MAP, "default", {**target, "metadata": {"name": "marks"}})
        packs.cluster.faults.add(InjectedFault(503, verb="patch", kind="ConfigMap", name="marks", times=None))
        await packs.put("late", spec(rules=[rule], targets=[{**target, "verbs": ["get", "patch"]}]))
        await packs.widget("one")
        await packs.widget("two")
        await packs.clock.advance(50)
        early = (await packs.got("late"))["status"]
        await packs.clock.advance(30)
        late = (await packs.got("late"))["status"]
        packs.cluster.faults.clear()
        await packs.clock.advance(310)
        after = (await packs.got("late"))["status"]

    waiting = late["parts"][0]["rules"][0]
    assert [status["waiting"] for status in (early, late, after)] == [0, 2, 0]
    assert (waiting["waiting"], waiting["waitingFor"]) == (2, "ServerError")
    assert waiting["waitingSince"].endswith("Z")
    assert "waitingFor" not in after["parts"][0]["rules"][0]


def sweeping(**keys: Any) -> dict[str, Any]:
    """The spec of a pack that deletes widgets."""
    target = {"apiVersion": "example.com/v1", "kind": "Widget"}
    rule = {"name": "big", "actions": [{"delete": {"target": {**target, "name": "${object.metadata.name}"}}}]}
    return spec(rules=[rule], targets=[{**target, "verbs": ["get", "delete"]}], **keys)


async def suspended(packs: Packs) -> None:
    """Have a pack `sweep` delete one widget, and be suspended with seven more."""
    await packs.put("sweep", sweeping())
    await packs.config_map("rulepack-params", {"sweep": "disruptionsPerMinute: 1"})
    await packs.put("marks", {"shipped": "marks", "mode": "Disabled"})
    await packs.clock.advance(5)
    for number in range(8):
        await packs.widget(f"w{number}")
    await packs.clock.advance(12)


async def test_a_suspended_pack_waits_for_a_person(packs: Packs) -> None:
    """What is held back counts at once, and no condition says that it goes on by itself."""
    async with packs.running(packs.operator()):
        await suspended(packs)
        status = (await packs.got("sweep"))["status"]
        ready, stalled = [await packs.condition(kind, "sweep") for kind in ("Ready", "Stalled")]

    (counted,) = status["parts"][0]["rules"]
    assert (status["waiting"], counted["waitingFor"]) == (7, "Suspended")
    assert ready[:2] == ("False", "Suspended")
    assert stalled == ("False", "Suspended", "it goes on when somebody has it go on, see Ready")


@pytest.mark.parametrize(("word", "expected"), [(None, "Suspended"), ("go on", "InForce")])
async def test_a_suspended_pack_that_comes_again_is_still_suspended(packs: Packs, word: str | None, expected: str) -> None:
    """To delete it is no word to go on; one that somebody gives meanwhile counts."""
    async with packs.running(packs.operator()):
        await packs.clock.advance(60)
        await suspended(packs)
        await packs.cluster.delete(RULE_PACK, "system", "sweep")
        await packs.clock.advance(5)
        await packs.cluster.patch(CONFIG_MAP, "system", "rulepack-params", {"metadata": {"annotations": {RESUME: word}}})
        await packs.clock.advance(5)
        await packs.put("sweep", sweeping())
        await packs.clock.advance(7)
        ready = await packs.condition("Ready", "sweep")
        await packs.clock.advance(120)
        widgets = len((await packs.cluster.list(Selection(WIDGET))).items)

    assert ready[1] == expected
    assert (widgets == 7) is (word is None)


async def test_a_pack_that_was_refused_while_its_flag_is_off_says_both(packs: Packs) -> None:
    async with packs.running(packs.operator()):
        await packs.config_map("rulepack-feature-flags", {"own": "Disabled"})
        await packs.put("own", spec())
        await packs.clock.advance(5)
        await packs.put("own", spec(descripton="slip"))
        await packs.clock.advance(5)
        ready = await packs.condition("Ready", "own")

    kept = "the last good text, generation 1, counts meanwhile, and is Disabled: the feature flag own says Disabled"
    assert ready == ("False", "Invalid", f"it is not accepted; {kept}")


@pytest.mark.parametrize(("keys", "word"), [({"mode": "Disabled"}, "Disabled"), ({"moed": "Audit"}, "Audit"), ({}, "")], ids=str)
async def test_a_stricter_mode_of_a_refused_spec_is_said_not_to_count(packs: Packs, keys: dict[str, str], word: str) -> None:
    """Somebody who wants to stop a pack hears what does stop it, in the status and in the Event; the flag that is named does."""
    async with packs.running(packs.operator()):
        await packs.put("own", spec())
        await packs.clock.advance(5)
        await packs.put("own", spec(descripton="slip", **keys))
        await packs.clock.advance(5)
        ready, reported = await packs.condition("Ready", "own"), await reasons(packs, "own")
        await packs.config_map("rulepack-feature-flags", {"own": word or "Disabled"})
        await packs.clock.advance(5)
        mode = (await packs.got("own"))["status"]["mode"]

    kept = "the last good text, generation 1, stays in force"
    said = f"; its mode {word} does not count while it is refused: to have it now, set the feature flag own: {word} in ConfigMap "
    expected = kept + (f"{said}rulepack-feature-flags" if word else "")
    assert ready == ("False", "Invalid", f"it is not accepted; {expected}")
    assert reported[-1][1].endswith(expected)
    assert mode == (word or "Disabled")


@pytest.mark.parametrize(("own", "says"), [(None, True), ("Enforce", False)], ids=["no mode of its own", "a mode of its own"])
async def test_a_stricter_mode_in_a_refused_config_map_is_said_not_to_count(packs: Packs, own: str | None, says: bool) -> None:
    """Where its RulePack gives a mode, that in the text counts at no time."""
    text = PACK.replace("name: marks}", "name: team}")
    async with packs.running(packs.operator()):
        await packs.config_map("team-packs", {"pack.yaml": text}, pack=True)
        await packs.clock.advance(10)
        await packs.cluster.patch(RULE_PACK, "system", "team", {"spec": {"mode": own}})
        broken = text.replace("size > 10", "size >").replace("spec:\n", "spec:\n  mode: Off\n")
        await packs.config_map("team-packs", {"pack.yaml": broken}, pack=True)
        await packs.clock.advance(10)
        ready = await packs.condition("Ready", "team")

    assert ready[2].startswith("it is not accepted; the last good text stays in force")
    assert ("; its mode Disabled does not count while it is refused" in ready[2]) is says


async def test_a_pack_that_is_refused_and_suspended_says_both(packs: Packs) -> None:
    """The command with which it goes on stays in the status."""
    async with packs.running(packs.operator()):
        await suspended(packs)
        before = await packs.condition("Ready", "sweep")
        await packs.put("sweep", sweeping(descripton="slip"))
        await packs.clock.advance(7)
        after = await packs.condition("Ready", "sweep")

    assert before[1] == "Suspended"
    assert after == (
        "False", "Invalid", f"it is not accepted; the last good text, generation 1, stays in force; {before[2]}"
    )  # fmt: skip


@pytest.mark.parametrize("refused", [False, True])
async def test_a_pack_whose_deletion_a_finalizer_holds_up_says_so(packs: Packs, refused: bool) -> None:
    """It is in force until the object is gone."""
    async with packs.running(packs.operator()):
        await packs.put("own", spec())
        await packs.clock.advance(5)
        await packs.cluster.patch(RULE_PACK, "system", "own", {"metadata": {"finalizers": ["example.com/x"]}})
        if refused:
            await packs.put("own", spec(descripton="slip"))
        await packs.cluster.delete(RULE_PACK, "system", "own")
        await packs.clock.advance(7)
        ready = await packs.condition("Ready", "own")
        await packs.widget("one")
        await packs.clock.advance(5)
        marked = await packs.mark("one")

    assert ready[2].endswith("; it is being deleted, and counts until somebody takes away its finalizers (example.com/x)")
    assert marked is not None


async def test_a_pack_that_is_in_force_with_an_older_text_says_why_it_is_not_explained(packs: Packs) -> None:
    """One that never was in force is not called so."""
    async with packs.running(packs.operator()):
        await packs.put("own", spec())
        await packs.clock.advance(5)
        await packs.put("own", spec(descripton="slip"))
        await packs.put("never", spec(descripton="slip"))
        await packs.clock.advance(5)
        objects = [await packs.got(name) for name in ("own", "never", "marks")]

    assert [*unexplained(dict.fromkeys(("rulepack/system/own", "rulepack/system/never"), "unknown key"), objects)] == [
        "what is not in force cannot be explained: rulepack/system/never; "
        "`kubectl get rulepacks,rulelibraries,configmaps -o yaml` has their faults",
        "rulepack/system/own is not explained: its newest text is refused, and the last good one, generation 1, is in force, "
        "which only the operator has: --engine URL asks it; unknown key",
    ]


@pytest.mark.parametrize(
    ("modes", "does"),
    [
        ({"mark": "Disabled"}, f"does nothing; {STRICTER}: mark (Disabled)"),
        ({"mark": "Disabled", "other": "Audit"}, f"says what it would do; {STRICTER}: mark (Disabled), other (Audit)"),
        ({"mark": "Audit", "other": None}, f"acts; {STRICTER}: mark (Audit)"),
    ],
    ids=["one", "all", "some"],
)
async def test_a_rules_own_mode_is_in_the_status_and_in_its_line(packs: Packs, modes: dict[str, str | None], does: str) -> None:
    """Ready says what the pack does by the modes of its rules, and each line has the mode of its rule."""
    (rule,) = spec()["rules"]
    rules = [rule | {"name": name} | ({"mode": mode} if mode else {}) for name, mode in modes.items()]
    async with packs.running(packs.operator()):
        await packs.put("own", spec(rules=rules))
        await packs.clock.advance(5)
        own, ready = await packs.got("own"), await packs.condition("Ready", "own")

    lines = [line.split() for line in table([own], {}) if " own " in line]
    assert ready == ("True", "InForce", f"the pack is in force, and {does}")
    assert [(line[4], line[2]) for line in lines] == [(name, mode or "Enforce") for name, mode in modes.items()]


async def test_a_status_that_was_not_written_says_who_may_have_to(packs: Packs) -> None:
    """By the operator's Lease: it runs and may not write, or none does; or nobody knows. An older status is called one."""
    operator = packs.operator()
    async with packs.running(operator):
        await packs.clock.advance(5)
        packs.cluster.faults.add(InjectedFault(403, verb="patch", kind="RulePack", times=None))
        await packs.put("own", spec())
        await packs.put("marks", {"shipped": "marks", "mode": "Audit"})
        await packs.clock.advance(5)
        runs = await who_reads(packs.cluster, "system", datetime.fromtimestamp(packs.clock.time(), UTC))
        late = await who_reads(packs.cluster, "system", datetime.fromtimestamp(packs.clock.time() + 50, UTC))
    gone = await who_reads(packs.cluster, "system", datetime.fromtimestamp(packs.clock.time(), UTC))
    packs.cluster.faults.add(InjectedFault(403, verb="list", kind="Lease", times=None))
    unknown = await who_reads(packs.cluster, "system", datetime.fromtimestamp(packs.clock.time(), UTC))
    _, marks, older, _, never = table([await packs.got("marks"), await packs.got("own")], {"system": runs})

    assert runs.startswith("an operator runs (") and late.startswith("perhaps no operator runs any more (")
    renewed = re.compile(r"holds Lease system/rulepack, last renewed (\d+) s ago")
    seconds = [int(number) for said in (runs, late) for number in renewed.findall(said)]
    assert seconds[0] < 15 and seconds[1] == seconds[0] + 50
    assert "it may not write the status; its log says why: kubectl logs -n system deployment/rulepack" in runs
    assert gone.startswith("none holds a Lease rulepack in namespace system")
    assert unknown.startswith("either no operator runs in namespace system, or it may not write the status")
    assert marks.split()[2:4] == ["Enforce", "Unknown"]
    assert older.strip().startswith("not yet read since the last change: this is about generation 1, and the newest is 2; an ")
    assert never.strip().startswith("no operator has written its status yet; an operator runs")


async def test_a_status_of_an_operator_that_is_gone_says_nothing_of_now(packs: Packs) -> None:
    """By the Lease: at once where it is released, later where it only is not renewed, and not where it is unknown."""

    async def said(later: float) -> str:
        return await stopped(packs.cluster, "system", datetime.fromtimestamp(time + later, UTC))

    async with packs.running(packs.operator()):
        await packs.put("own", spec())
        await packs.clock.advance(30)
        time = packs.clock.time()
        runs = await said(0)
    released, still = await said(3), await said(3600)
    await packs.cluster.patch(LEASE, "system", "rulepack", {"spec": {"holderIdentity": "killed"}})
    killed, gone = await said(30), await said(3600)
    own = await packs.got("own")
    packs.cluster.faults.add(InjectedFault(403, verb="list", kind="Lease", times=None))
    unknown = await said(3600)

    assert (runs, killed, unknown) == ("", "", "")
    assert gone.startswith("no operator runs in namespace system since 20") and "(Lease rulepack is not renewed)" in gone
    assert released == still == gone.replace("not renewed", "released")
    ready = [[line.split()[3] for line in table([own], {}, where)][1] for where in ((), ("system",))]
    assert ready == ["True", "Unknown"]


@pytest.mark.parametrize("broken_from_the_start", [True, False])
async def test_a_refused_pack_is_warned_of_what_the_api_server_dropped(packs: Packs, broken_from_the_start: bool) -> None:
    """Such as a mode in metadata, which is lost: whether its last good text is in force or nothing is."""
    noted = json.dumps({"kind": "RulePack", "metadata": {"mode": "Disabled", "name": "own"}}, separators=(",", ":"))
    note = {"metadata": {"annotations": {LAST_APPLIED: noted}}}
    async with packs.running(packs.operator()):
        if not broken_from_the_start:
            await packs.put("own", spec())
            await packs.clock.advance(5)
        await packs.put("own", spec(wehn="true"))
        await packs.cluster.patch(RULE_PACK, "system", "own", note)
        await packs.clock.advance(5)
        status = (await packs.got("own"))["status"]

    assert [each["path"] for each in status["faults"]] == ["spec.wehn"]
    assert ("generationInForce" in status) is not broken_from_the_start
    assert (status["warningCount"], [each["path"] for each in status["warnings"]]) == (1, ["metadata.mode"])


async def test_get_writes_objects_as_kubectl_does(packs: Packs) -> None:
    """One that is asked for by its name alone, else a list; both can be read by what reads kubectl's."""
    async with packs.running(packs.operator()):
        await packs.put("own", spec())
        await packs.clock.advance(5)
        own, marks = await packs.got("own"), await packs.got("marks")

    one = yaml.safe_load(written([own], [], "yaml", single=True))
    several = json.loads(written([marks, own], [], "json", single=False))
    assert (one["kind"], one["spec"], one["status"]["mode"]) == ("RulePack", spec(), "Enforce")
    assert "managedFields" in own["metadata"] and "managedFields" not in one["metadata"]
    assert (several["kind"], [each["metadata"]["name"] for each in several["items"]]) == ("List", ["marks", "own"])
    assert yaml.safe_load(written([own], [], "yaml", single=False))["items"] == [one]
    assert written([own], [], "name", single=True) == "rulepack.rules.mlops.dev/own\n"
    assert [written([], [], style, single=True) for style in ("yaml", "json", "name")] == ["", "", ""]


async def test_a_suspended_pack_that_is_put_to_audit_is_ready(packs: Packs) -> None:
    """Nothing waits of it then; it says what it would do, and counts that apart from what it did."""
    async with packs.running(packs.operator()):
        await suspended(packs)
        await packs.put("sweep", sweeping(mode="Audit"))
        await packs.clock.advance(7)
        status, ready = (await packs.got("sweep"))["status"], await packs.condition("Ready", "sweep")

    (rule,) = status["parts"][0]["rules"]
    assert ready == ("True", "InForce", "the pack is in force, and says what it would do (for 7 items)")
    assert (status["fired"], status["waiting"], rule["audited"], rule.get("suspended")) == (1, 0, 7, None)


async def test_a_resumed_pack_says_how_many_items_still_wait(packs: Packs) -> None:
    """It goes on at once, at the pace of its budget; what waits for that is named at once too."""
    async with packs.running(packs.operator()):
        await packs.clock.advance(60)
        await suspended(packs)
        await packs.cluster.patch(CONFIG_MAP, "system", "rulepack-params", {"metadata": {"annotations": {RESUME: "go on"}}})
        await packs.clock.advance(7)
        status, later = (await packs.got("sweep"))["status"], await packs.condition("Ready", "sweep")

    assert later[:2] == ("True", "InForce")
    assert status["waiting"] > 1
    assert f"rule big waits, with {status['waiting']} items, such as for Widget default/w" in later[2]
    assert "takes 1 disruptive steps a minute (disruptionsPerMinute), and has taken them" in later[2]


async def test_what_audit_would_do_is_not_counted_as_fired(packs: Packs) -> None:
    """Nor is it what a rule last acted on. In Enforce there is nothing that it would only do."""
    async with packs.running(packs.operator()):
        await packs.put("marks", {"shipped": "marks", "mode": "Audit"})
        await packs.clock.advance(5)
        await packs.widget("one")
        await packs.clock.advance(10)
        audited = (await packs.got("marks"))["status"]
        await packs.put("marks", {"shipped": "marks", "mode": "Enforce"})
        await packs.clock.advance(10)
    async with packs.running(packs.operator()):
        await packs.clock.advance(10)
        enforced = (await packs.got("marks"))["status"]

    (before,), (after,) = audited["parts"][0]["rules"], enforced["parts"][0]["rules"]
    assert (audited["fired"], before["audited"], "lastFiring" in before) == (0, 1, False)
    assert (enforced["fired"], "audited" in after, "lastFiring" in after) == (1, False, True)


async def test_audit_counts_each_item_once(packs: Packs) -> None:
    """By the text in force: not again after an edit, a change of the object or a restart, nor what is gone."""
    counts: list[int] = []

    async def count() -> None:
        await packs.clock.advance(10)
        (rule,) = (await packs.got("own"))["status"]["parts"][0]["rules"]
        counts.append(rule.get("audited", 0))

    def text(key: str, **fields: Any) -> dict[str, Any]:
        actions = [{"annotate": {"annotations": {key: "x"}}}]
        return spec(mode="Audit", rules=[{"name": "r", "actions": actions, **fields}])

    async with packs.running(packs.operator()):
        await packs.put("own", text("example.com/a"))
        for name in ("one", "two", "three"):
            await packs.widget(name)
        await count()
        await packs.cluster.patch(WIDGET, "default", "one", {"metadata": {"labels": {"changed": "yes"}}})
        await count()
        await packs.put("own", text("example.com/b"))
        await count()
        ready, lines = await packs.condition("Ready", "own"), [*table([await packs.got("own")], {})]
    async with packs.running(packs.operator()):
        await count()
        await packs.cluster.delete(WIDGET, "default", "three")
        await count()
        await packs.put("own", text("example.com/b", when="object.metadata.name == 'one'"))
        await count()

    assert counts == [3, 3, 3, 3, 2, 1]
    assert ready == ("True", "InForce", "the pack is in force, and says what it would do (for 3 items)")
    assert "    items for which it would act, were it not in Audit: 3" in lines


async def test_a_kind_that_the_cluster_does_not_have_is_said_at_once(packs: Packs) -> None:
    """Not first that it is being listed; a ConfigMap with such a pack does not say first that it is ok."""
    seen, text = [], PACK.replace("kind: Widget", "kind: Wigdet")
    async with packs.running(packs.operator()):
        await packs.clock.advance(31)
        await packs.put("own", spec(text))
        await packs.config_map("other", {"pack.yaml": text.replace("name: marks", "name: other")}, pack=True)
        for _ in range(30):
            await packs.clock.advance(0.1)
            status = dig(await packs.got("own"), ("status", "conditions"), ())
            seen += [each["reason"] for each in status if each["type"] == "Ready"]
        annotated = await packs.status("other") or ""

    assert set(seen) == {"WaitingForKind"}
    assert "Wigdet" in (await packs.condition("Ready", "own"))[2]
    assert annotated.startswith("pack other waits: Wigdet")


async def test_each_firing_of_a_rule_for_one_object_counts(packs: Packs) -> None:
    """Also of a rule without `oncePer`; two steps of one firing count once, and what changes nothing does not."""
    actions = [{"annotate": {"annotations": {f"example.com/{name}": "${string(object.spec.size)}"}}} for name in ("a", "b")]
    async with packs.running(packs.operator()):
        await packs.put("sizes", spec() | {"rules": [{"name": "size", "actions": actions}]})
        await packs.clock.advance(5)
        for size in (1, 2, 3):
            if size == 1:
                await packs.widget("one", size)
            await packs.cluster.patch(WIDGET, "default", "one", {"spec": {"size": size}})
            await packs.clock.advance(5)
        await packs.cluster.patch(WIDGET, "default", "one", {"metadata": {"labels": {"new": "yes"}}})
        await packs.clock.advance(10)
        fired = (await packs.got("sizes"))["status"]["fired"]

    assert fired == 3


@pytest.mark.parametrize("once", [{}, {"oncePer": "object.metadata.uid"}], ids=["each time", "once"])
async def test_a_firing_counts_once_it_is_written_on_the_object(packs: Packs, once: dict[str, str]) -> None:
    """Without the right to patch what it watches, a rule has done nothing: each object waits, and the status says for what."""
    annotate = {"annotate": {"annotations": {"example.com/seen": "yes"}}}
    async with packs.running(packs.operator()):
        packs.cluster.faults.add(InjectedFault(CANNOT_PATCH, verb="patch", kind="Widget", times=None))
        await packs.put("seen", spec() | {"rules": [{"name": "see", "actions": [annotate], **once}]})
        await packs.put("marks", {"shipped": "marks", "mode": "Disabled"})
        await packs.clock.advance(5)
        for number in range(20):
            await packs.widget(f"w{number}")
        await packs.clock.advance(40)
        without = (await packs.got("seen"))["status"]
        lines = [*table([await packs.got("seen")], {})]
        events = [event for event in await packs.events("default") if event["reason"] == "RuleWaiting"]
        packs.cluster.faults.clear()
        await packs.clock.advance(310)
        after = (await packs.got("seen"))["status"]

    (rule,) = without["parts"][0]["rules"]
    ready = without["conditions"][1]["message"]
    assert (without["fired"], without["waiting"], rule["waitingFor"]) == (0, 20, "MissingRight")
    assert "rule see waits for a missing right, with 20 items, such as for Widget default/w0: 403" in ready
    assert "to grant it: kubectl create role NAME -n default --verb=patch --resource=widgets.example.com" in ready
    assert any("rule see waits for a missing right" in line for line in lines)
    assert len(events) == 20
    assert all(event["message"].startswith("Rule seen/see waits with what it writes on this object since") for event in events)
    assert (after["fired"], after["waiting"]) == (20, 0)


async def test_a_timer_that_is_not_durable_is_said_in_the_status(packs: Packs) -> None:
    """With the right that is missing, until it is there; the pack acts all the same."""
    text = PACK.replace("when: object.spec.size > 10", "when: object.spec.size > 10\n      for: 1h")
    emit = {"emitEvent": {"type": "Normal", "reason": "Big", "message": "big for an hour"}}
    rules = [spec(text)["rules"][0] | {"actions": [emit]}]
    async with packs.running(packs.operator()):
        packs.cluster.faults.add(InjectedFault(CANNOT_PATCH, verb="patch", kind="Widget", times=None))
        await packs.put("timed", spec(text, rules=rules))
        await packs.put("marks", {"shipped": "marks", "mode": "Disabled"})
        await packs.clock.advance(5)
        await packs.widget("one")
        await packs.clock.advance(90)
        without, failed = await packs.condition("Ready", "timed"), (await packs.got("timed"))["status"]["failed"]
        packs.cluster.faults.clear()
        await packs.clock.advance(310)
        after = await packs.condition("Ready", "timed")

    assert (*without[:2], failed) == ("True", "InForce", 0)
    assert without[2].startswith(
        "the pack is in force, and acts; rule mark: the timer is not durable, since the right to patch the object is missing "
        "(see rulepack rbac): 403"
    )
    assert 'User "system:serviceaccount:system:rulepack" cannot patch resource "widgets"' in without[2]
    assert after == ("True", "InForce", "the pack is in force, and acts")


async def test_a_firing_that_is_written_late_counts_once(packs: Packs) -> None:
    """Its Event was there before."""
    actions: list[Any] = [
        {"annotate": {"annotations": {"example.com/seen": "yes"}}},
        {"emitEvent": {"type": "Normal", "reason": "Seen", "message": "it was seen"}},
    ]
    async with packs.running(packs.operator()):
        packs.cluster.faults.add(InjectedFault(CANNOT_PATCH, verb="patch", kind="Widget", times=None))
        await packs.put("seen", spec() | {"rules": [{"name": "see", "actions": actions}]})
        await packs.put("marks", {"shipped": "marks", "mode": "Disabled"})
        await packs.clock.advance(5)
        await packs.widget("one")
        await packs.clock.advance(40)
        packs.cluster.faults.clear()
        await packs.clock.advance(310)
        written = (await packs.got("seen"))["status"]["fired"]
        await packs.cluster.patch(WIDGET, "default", "one", {"metadata": {"annotations": {"example.com/seen": "no"}}})
        await packs.clock.advance(10)
        again = (await packs.got("seen"))["status"]["fired"]

    assert (written, again) == (1, 2)


async def test_a_firing_that_fails_in_a_later_step_counts_as_failed_only(packs: Packs) -> None:
    """Neither its first step, nor what it does in `rescue`, makes it one that fired."""
    target = {"apiVersion": "v1", "kind": "ConfigMap"}
    actions: list[Any] = [
        {"patch": {"target": {**target, "namespace": "default", "name": name}, "patch": {"data": {"a": "b"}}}}
        for name in ("good", "bad", "told")
    ]
    rule = {"name": "r", "actions": actions[:2], "rescue": actions[2:]}
    async with packs.running(packs.operator()):
        for name in ("good", "bad", "told"):
            await packs.cluster.create(CONFIG_MAP, "default", {**target, "metadata": {"name": name}})
        packs.cluster.faults.add(InjectedFault(422, verb="patch", kind="ConfigMap", name="bad", times=None))
        await packs.put("late", spec(rules=[rule], targets=[{**target, "verbs": ["get", "patch"]}]))
        await packs.widget("one")
        await packs.clock.advance(30)
        status = (await packs.got("late"))["status"]
        rescued = await packs.cluster.get(CONFIG_MAP, "default", "told")

    counted = status["parts"][0]["rules"][0]
    assert rescued["data"] == {"a": "b"}
    assert (status["fired"], status["failed"], counted["fired"], counted["failed"]) == (0, 1, 0, 1)


@pytest.mark.parametrize("restarts", [False, True], ids=["same process", "after a restart"])
async def test_a_pack_whose_items_all_fail_says_so(packs: Packs, restarts: bool) -> None:
    """How many, and why the last one did, without what the API server has quoted of the object; also after a takeover.

    One that succeeds later takes back that all fail, and not that the others do.
    """
    target = {"apiVersion": "v1", "kind": "ConfigMap", "namespace": "default", "name": "c"}
    patch = {"target": target, "patch": {"data": {"a": "b"}}}
    rules = [{"name": "r", "oncePer": "object.metadata.uid", "actions": [{"patch": patch}]}]
    targets = [{"apiVersion": "v1", "kind": "ConfigMap", "verbs": ["get", "patch"]}]
    refusal = ApiError(422, "Invalid", 'ConfigMap "c" is invalid: data: Invalid value: "secret word"')
    packs.cluster.faults.add(InjectedFault(refusal, verb="patch", kind="ConfigMap", name="c", times=None))
    await packs.cluster.create(CONFIG_MAP, "default", {"metadata": {"name": "c"}})
    operator = packs.operator()
    async with packs.running(operator):
        await packs.put("failing", spec(rules=rules, targets=targets))
        for name in ("one", "two"):
            await packs.widget(name)
            await packs.clock.advance(10)
        failing = await packs.condition("Ready", "failing")
        if not restarts:
            packs.cluster.faults.clear()
            await packs.widget("three")
            await packs.clock.advance(10)
    if restarts:
        async with packs.running(packs.operator()):
            await packs.clock.advance(10)
            assert await packs.condition("Ready", "failing") == failing
            packs.cluster.faults.clear()
            await packs.widget("three")
            await packs.clock.advance(10)

    last = "patch for Widget default/two: 422 Invalid; its Events and the log say why"
    now = "rule r fails for 2 items now: 2 failures so far, the last at "
    said = f"the pack is in force, but all that it does fails; {now}"
    assert failing[:2] == ("True", "InForce")
    assert failing[2].startswith(said) and failing[2].endswith(f"Z: {last}")
    acts = f"the pack is in force, and acts, but 2 items fail; {now}"
    assert (await packs.condition("Ready", "failing"))[2].startswith(acts)
    assert (await packs.got("failing"))["status"]["failed"] == 2


async def test_a_pack_of_which_only_some_items_fail_is_not_said_to_fail_at_all(packs: Packs) -> None:
    """The rule that failed last is named, with how often it did and how often not."""
    target = {"apiVersion": "v1", "kind": "ConfigMap", "namespace": "default", "name": "${object.metadata.name}"}
    patch = {"target": target, "patch": {"data": {"a": "b"}}}
    rules = [{"name": "r", "oncePer": "object.metadata.uid", "actions": [{"patch": patch}]}]
    packs.cluster.faults.add(InjectedFault(422, verb="patch", kind="ConfigMap", name="two", times=None))
    async with packs.running(packs.operator()):
        targets = [{"apiVersion": "v1", "kind": "ConfigMap", "verbs": ["get", "patch"]}]
        await packs.put("failing", spec(rules=rules, targets=targets))
        for name in ("one", "two"):
            await packs.cluster.create(CONFIG_MAP, "default", {"metadata": {"name": name}})
            await packs.widget(name)
            await packs.clock.advance(10)
        ready, rule = await packs.condition("Ready", "failing"), (await packs.got("failing"))["status"]["parts"][0]["rules"][0]

    counts = f"one failure so far, the last at {rule['lastFailure']}, beside one firing, the last at {rule['lastFiring']}"
    assert (rule["fired"], rule["failed"]) == (1, 1)
    now = f"rule r fails for one item now: {counts}: patch for Widget default/two: 422"
    said = f"the pack is in force, and acts, but one item fails; {now}"
    assert ready[2].startswith(said)


@pytest.mark.parametrize("end", ["deleted", "not meant any more", "done by another firing"])
async def test_an_item_fails_no_longer_once_it_is_gone_or_done(packs: Packs, end: str) -> None:
    """Ready goes by what fails now; FAILED goes on to count what failed."""
    target = {"apiVersion": "v1", "kind": "ConfigMap", "namespace": "default", "name": "c"}
    rule = {
        "name": "r", "when": "label(object, 'off') == ''", "oncePer": "label(object, 'key')",
        "actions": [{"patch": {"target": target, "patch": {"data": {"a": "b"}}}}],
    }  # fmt: skip
    targets = [{"apiVersion": "v1", "kind": "ConfigMap", "verbs": ["get", "patch"]}]
    packs.cluster.faults.add(InjectedFault(422, verb="patch", kind="ConfigMap", name="c", times=None))
    await packs.cluster.create(CONFIG_MAP, "default", {"metadata": {"name": "c"}})
    async with packs.running(packs.operator()):
        await packs.put("failing", spec(rules=[rule], targets=targets))
        await packs.widget("one")
        await packs.clock.advance(10)
        before = (await packs.condition("Ready", "failing"))[2]
        packs.cluster.faults.clear()
        if end == "deleted":
            await packs.cluster.delete(WIDGET, "default", "one")
        else:
            labels = {"off": "yes"} if end == "not meant any more" else {"key": "2"}
            await packs.cluster.patch(WIDGET, "default", "one", {"metadata": {"labels": labels}})
        await packs.clock.advance(10)
        after, failed = await packs.condition("Ready", "failing"), (await packs.got("failing"))["status"]["failed"]

    assert "rule r fails for one item now" in before
    assert after == ("True", "InForce", "the pack is in force, and acts")
    assert failed == 1


@pytest.mark.parametrize("refused", [True, False])
async def test_a_pack_that_is_off_or_refused_says_what_is_kept_after_a_restart(
    packs: Packs, refused: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """With the command that lists it: nobody else knows by then what it has generated."""
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "copy", "namespace": "default"}}
    rules = [{"name": "r", "actions": [{"apply": {"prune": True, "manifest": manifest}}]}]
    verbs = ["get", "list", "watch", "create", "patch", "delete"]
    targets = [{"apiVersion": "v1", "kind": "ConfigMap", "verbs": verbs, "consent": "true"}]
    async with packs.running(packs.operator()):
        await packs.put("copies", spec(rules=rules, targets=targets))
        await packs.clock.advance(5)
        broken = {"wehn": "true"} if refused else {}
        await packs.put("copies", spec(rules=[{**rules[0], **broken}], targets=targets, mode="Disabled"))
        await packs.clock.advance(5)
    caplog.clear()
    async with packs.running(packs.operator()):
        await packs.clock.advance(10)
        ready = await packs.condition("Ready", "copies")

    list_all = "kubectl get ConfigMap -A -l rules.mlops.dev/generated-by=copies"
    logged = f"rule copies/r is not in force; anything it has generated is kept: {list_all},rules.mlops.dev/generated-rule=r"
    kept = f"generated is kept: {list_all}"
    assert kept in ready[2]
    assert refused or logged in [record.getMessage() for record in caplog.records]


async def test_a_restart_leaves_a_status_as_it_is(packs: Packs) -> None:
    """A pack that was ready is said to be so while its kind is listed again, and what it did last stays."""
    async with packs.running(packs.operator()):
        await packs.widget("one")
        await packs.clock.advance(10)
        before, writes = (await packs.got("marks"))["status"], len(packs.written())
    async with packs.running(packs.operator()):
        await packs.clock.advance(60)
        after = (await packs.got("marks"))["status"]

    assert before["parts"][0]["rules"][0]["lastObject"] == "Widget default/one"
    assert after == before
    assert len(packs.written()) == writes


async def test_a_pack_is_ready_as_soon_as_its_kind_is_listed(packs: Packs) -> None:
    """Whoever waits for it does not wait for the next time at which counts are written."""
    packs.cluster.seconds = 2.0
    async with packs.running(packs.operator()):
        await packs.clock.advance(0.5)
        first = await packs.condition("Ready", "marks")
        await packs.clock.advance(1.5)
        second = await packs.condition("Ready", "marks")

    assert first[:2] == ("False", "Listing")
    assert second[:2] == ("True", "InForce")


async def test_counts_go_on_after_a_restart_with_a_refused_spec(packs: Packs) -> None:
    """Nothing is in force then, and the status has no counts; once the spec is mended they are there again."""
    rules = [{"name": "own", "actions": [{"annotate": {"annotations": {"example.com/own": "yes"}}}]}]
    async with packs.running(packs.operator()):
        await packs.put("own", spec(rules=rules))
        await packs.widget("one")
        await packs.clock.advance(10)
        before = (await packs.got("own"))["status"]["fired"]
        await packs.put("own", spec(rules=rules, descripton="slip"))
        await packs.clock.advance(5)
    async with packs.running(packs.operator()):
        await packs.clock.advance(10)
        meanwhile = await packs.condition("Ready", "own")
        await packs.put("own", spec(rules=rules, description="mended"))
        await packs.widget("two")
        await packs.clock.advance(10)
        after = (await packs.got("own"))["status"]["fired"]

    assert meanwhile[2] == "it is not accepted; nothing is in force"
    assert (before, after) == (1, 2)


async def test_a_list_that_does_not_end_is_reported(packs: Packs) -> None:
    """Half a minute after a restart a pack that cannot list its kind yet is no longer ready."""
    async with packs.running(packs.operator()):
        await packs.clock.advance(10)
    packs.cluster.seconds = 100.0
    async with packs.running(packs.operator()):
        await packs.clock.advance(20)
        first = await packs.condition("Ready", "marks")
        await packs.clock.advance(20)
        later = await packs.condition("Ready", "marks")

    assert first[:2] == ("True", "InForce")
    assert later == ("False", "Listing", "Widget.example.com/v1 is being listed")


async def test_what_is_done_at_once_at_a_takeover_counts(packs: Packs) -> None:
    """The next leader may act before it has written any status."""
    first, second = packs.operator(), packs.operator()
    async with packs.running(first, second) as (stop, _):
        await packs.widget("one")
        await packs.clock.advance(10)
        stop.set()
        await packs.clock.advance(0.5)
        await packs.widget("two")
        await packs.clock.advance(30)
        status = (await packs.got("marks"))["status"]

    assert status["fired"] == 2


async def test_a_kind_that_cannot_be_listed_makes_a_pack_wait(packs: Packs) -> None:
    async with packs.running(packs.operator()):
        await packs.put("own", spec(watch={"apiVersion": "example.com/v1", "kind": "Gadget"}))
        await packs.clock.advance(10)
        status, reason, message = await packs.condition("Ready", "own")
        stalled = await packs.condition("Stalled", "own")

    assert (status, reason) == ("False", "WaitingForKind")
    assert "Gadget.example.com/v1 in all namespaces cannot be listed: 404" in message
    assert stalled == ("False", "Progressing", "it is tried again by itself, see Ready")


async def test_a_missing_right_to_list_is_reported_at_once(packs: Packs) -> None:
    """With the command that grants it, and never before that that the kind is being listed."""
    packs.cluster.faults.add(InjectedFault(403, verb="list", kind="Widget", times=None))
    async with packs.running(packs.operator()):
        await packs.clock.advance(1)
        status, reason, message = await packs.condition("Ready", "marks")

    assert (status, reason) == ("False", "MissingRight")
    assert message.startswith("pack marks waits: Widget.example.com/v1 in all namespaces cannot be listed: 403")
    assert message.endswith("to grant what a pack needs: rulepack rbac pack.yaml | kubectl apply -f -")


async def test_a_missing_right_to_watch_is_reported_at_once(packs: Packs) -> None:
    """Also where the right to list is there; it is the same reason, with the same command."""
    packs.cluster.faults.add(InjectedFault(403, verb="watch", kind="Widget", times=None))
    async with packs.running(packs.operator()):
        await packs.clock.advance(1)
        status, reason, message = await packs.condition("Ready", "marks")

    assert (status, reason) == ("False", "MissingRight")
    assert message.startswith("pack marks waits: Widget.example.com/v1 in all namespaces cannot be watched: 403")
    assert message.endswith("to grant what a pack needs: rulepack rbac pack.yaml | kubectl apply -f -")


async def test_a_right_to_watch_that_is_lost_is_reported_within_seconds(packs: Packs) -> None:
    async with packs.running(packs.operator()):
        await packs.clock.advance(30)
        packs.cluster.faults.add(InjectedFault(403, verb="watch", kind="Widget", times=None))
        packs.cluster.cut_watches()
        await packs.clock.advance(15)
        status = await packs.condition("Ready", "marks")

    assert status[:2] == ("False", "MissingRight")


async def test_a_right_to_watch_that_is_missing_for_a_moment_is_no_news(packs: Packs) -> None:
    """An API server that has just started forbids everything until it has read the roles, however long it was away before."""
    async with packs.running(packs.operator()):
        await packs.clock.advance(30)
        packs.cluster.faults.add(InjectedFault(Effect.CUT_BEFORE, verb="watch", kind="Widget", times=9))
        packs.cluster.faults.add(InjectedFault(403, verb="watch", kind="Widget", times=3))
        packs.cluster.cut_watches()
        seen = set()
        for _ in range(200):
            await packs.clock.advance(1)
            seen.add((await packs.condition("Ready", "marks"))[:2])

    assert [call.status for call in packs.cluster.faults.calls if call.status in (0, 403)] == [0] * 9 + [403] * 3
    assert seen == {("True", "InForce")}


async def test_a_right_that_is_there_soon_after_a_restart_leaves_a_status_as_it_is(packs: Packs) -> None:
    """An API server that has just started knows no roles yet; one that is missing for good is reported."""
    async with packs.running(packs.operator()):
        await packs.clock.advance(10)
    packs.cluster.faults.add(InjectedFault(403, verb="list", kind="Widget", times=None))
    async with packs.running(packs.operator()):
        await packs.clock.advance(2)
        first = await packs.condition("Ready", "marks")
        await packs.clock.advance(20)
        later = await packs.condition("Ready", "marks")

    assert (first[:2], later[:2]) == (("True", "InForce"), ("False", "MissingRight"))


async def test_a_pack_in_a_config_map_is_visible_too(packs: Packs) -> None:
    """Its object goes with the ConfigMap, and takes a mode as that of a shipped pack does."""
    async with packs.running(packs.operator()):
        text = PACK.replace("name: marks}", "name: team}")
        await packs.config_map("team-packs", {"pack.yaml": text}, pack=True)
        await packs.clock.advance(10)
        first = await packs.got("team")
        await packs.cluster.patch(RULE_PACK, "system", "team", {"spec": {"mode": "Audit"}})
        await packs.clock.advance(5)
        mode = (await packs.got("team"))["status"]["mode"]
        await packs.cluster.delete(CONFIG_MAP, "system", "team-packs")
        await packs.clock.advance(10)
        with pytest.raises(ApiError, match="404"):
            await packs.got("team")

    assert first["spec"] == {"configMap": "team-packs"}
    assert first["status"]["ruleCount"] == 1
    assert mode == "Audit"


async def test_a_pack_that_is_in_another_config_map_by_now_takes_the_mode_of_its_rulepack(packs: Packs) -> None:
    """Of two ConfigMaps with one pack, the one that had it holds another now."""
    text = PACK.replace("name: marks}", "name: team}")
    async with packs.running(packs.operator()):
        await packs.config_map("a", {"pack.yaml": text}, pack=True)
        await packs.config_map("b", {"pack.yaml": text}, pack=True)
        await packs.clock.advance(10)
        await packs.config_map("a", {"pack.yaml": text.replace("name: team}", "name: new}")}, pack=True)
        await packs.clock.advance(10)
        ready, accepted = await packs.condition("Ready", "team"), await packs.condition("Accepted", "team")
        await packs.cluster.patch(RULE_PACK, "system", "team", {"spec": {"mode": "Disabled"}})
        await packs.clock.advance(5)
        disabled = await packs.condition("Ready", "team")

    assert ready[:2] == ("True", "InForce")
    assert accepted == (
        "True", "Warnings", "spec.configMap: pack 'team' is that in configmap/system/b/pack.yaml; expected configMap: b",
    )  # fmt: skip
    assert disabled[:2] == ("True", "Disabled")


async def test_after_a_restart_nothing_has_the_name_of_a_refused_rulepack(packs: Packs) -> None:
    """Neither the shipped text nor that in a ConfigMap acts in place of what the RulePack held; it says that nothing does."""
    async with packs.running(packs.operator()):
        await packs.config_map("team-packs", {"pack.yaml": PACK}, pack=True)
        await packs.put("marks", spec(mode="Disabled"))
        await packs.clock.advance(5)
        await packs.put("marks", spec(mode="Disabled", descripton="slip"))
        await packs.clock.advance(5)
        before = await packs.condition("Ready", "marks")
    async with packs.running(packs.operator()):
        await packs.widget("one")
        await packs.clock.advance(10)
        after, status = await packs.condition("Ready", "marks"), await packs.status("team-packs")

    assert before[2].endswith("the last good text, generation 2, counts meanwhile, and is Disabled")
    assert after[2] == "it is not accepted; nothing is in force"
    assert await packs.mark("one") is None
    assert "rulepack/system/marks has the name 'marks', and is refused: no pack of that name is in force" in str(status)


async def test_an_empty_config_map_is_not_ok(packs: Packs) -> None:
    async with packs.running(packs.operator()):
        await packs.config_map("empty", {"pack.yaml": "# nothing yet"}, pack=True)
        await packs.clock.advance(5)
        status = await packs.status("empty")

    assert status == "configmap/system/empty:1:1: there is no rule pack in its data; expected one, in pack.yaml"


async def test_a_flag_that_is_stricter_is_named(packs: Packs) -> None:
    """Of `mode` and the flag the stricter is in force; the status says which flag that is."""
    async with packs.running(packs.operator()):
        await packs.clock.advance(5)
        await packs.cluster.patch(RULE_PACK, "system", "marks", {"spec": {"mode": "Enforce"}})
        await packs.config_map("rulepack-feature-flags", {"marks": "Audit"})
        await packs.clock.advance(5)
        ready = await packs.condition("Ready", "marks")

    assert ready == (
        "True", "InForce", "the pack is in force, and says what it would do; the feature flag marks says Audit",
    )  # fmt: skip


async def test_a_flag_that_cannot_be_read_is_not_said_to_be_off(packs: Packs) -> None:
    """The status has what stands there, and what it counts as."""
    async with packs.running(packs.operator()):
        await packs.config_map("rulepack-feature-flags", {"marks": "Enforced"})
        await packs.clock.advance(5)
        _, reason, message = await packs.condition("Ready", "marks")

    assert reason == "Disabled"
    assert message.endswith("the feature flag marks cannot be read (the text 'Enforced'), so it counts as Disabled")


async def test_a_broken_config_map_shows_on_the_object_that_stands_for_its_pack(packs: Packs) -> None:
    """The object has the location in the ConfigMap's text, and says that the last good text stays in force."""
    text = PACK.replace("name: marks}", "name: team}")
    async with packs.running(packs.operator()):
        await packs.config_map("team-packs", {"pack.yaml": text}, pack=True)
        await packs.clock.advance(10)
        await packs.config_map("team-packs", {"pack.yaml": text.replace("size > 10", "size >")}, pack=True)
        await packs.clock.advance(10)
        accepted, ready = await packs.condition("Accepted", "team"), await packs.condition("Ready", "team")

    assert accepted[:2] == ("False", "Invalid")
    assert accepted[2].startswith("configmap/system/team-packs/pack.yaml:11:")
    assert ready[2] == "it is not accepted; the last good text stays in force"


async def test_a_new_object_is_not_refused_before_it_was_read(packs: Packs) -> None:
    """Whenever it is made: kstatus and Argo CD take what is Stalled for failed, if only for a moment."""
    async with packs.running(packs.operator()):
        await packs.clock.advance(5)
        seen = set()
        for tenths in range(45, 55):  # statuses are written every five seconds
            await packs.put(name := f"own-{tenths}", spec(mode="Disabled"))
            for _ in range(tenths):
                await packs.clock.advance(0.1)
                conditions = dig(await packs.got(name), ("status", "conditions"), ())
                seen.add(tuple(condition["reason"] for condition in conditions))

    assert seen == {(), ("Accepted", "Disabled", "Progressing")}


async def test_an_object_inherits_nothing_from_one_of_its_name(packs: Packs) -> None:
    async with packs.running(packs.operator()):
        await packs.put("own", spec(description="own"))
        await packs.clock.advance(5)
        await packs.cluster.delete(RULE_PACK, "system", "own")
        await packs.put("own", {"watch": {}, "rules": []})
        await packs.clock.advance(5)
        ready = await packs.condition("Ready", "own")

    assert ready == ("False", "Invalid", "it is not accepted; nothing is in force")


async def reasons(packs: Packs, name: str, namespace: str = "system") -> list[tuple[str, str]]:
    """Reason and message of the Events about a RulePack."""
    about = [event for event in await packs.events(namespace) if event["involvedObject"]["name"] == name]
    return [(each["reason"], each["message"]) for each in about]


async def test_a_refused_spec_is_reported_in_an_event(packs: Packs) -> None:
    """Once for each generation, whatever is counted meanwhile."""
    broken = spec()
    broken["rules"][0]["wehn"] = broken["rules"][0].pop("when")
    fault = "spec.rules[0].wehn: unknown key 'wehn'; expected 'when' (did you mean that?)"
    async with packs.running(packs.operator()):
        await packs.put("marks", spec(description="own"))
        await packs.clock.advance(5)
        await packs.put("marks", broken)
        await packs.clock.advance(20)
        await packs.widget("one")
        await packs.clock.advance(20)
        reported, status = await reasons(packs, "marks"), (await packs.got("marks"))["status"]

    kept = f"the last good text, generation {status['generationInForce']}, stays in force"
    assert status["fired"] == 1
    assert reported == [("RulePackInvalid", f"{fault}; {kept}")]


async def test_each_generation_of_an_object_elsewhere_is_answered_so(packs: Packs) -> None:
    """In an Event as well."""
    await packs.cluster.create(Resource(Kind("v1", "Namespace"), "namespaces", False), "", {"metadata": {"name": "team"}})
    await packs.put("own", spec(), "team")
    async with packs.running(packs.operator()):
        await packs.clock.advance(10)
        await packs.put("own", spec(description="changed"), "team")
        await packs.clock.advance(10)
        status = (await packs.got("own", "team"))["status"]

    assert status["observedGeneration"] == 2
    assert [reason for reason, _ in await reasons(packs, "own", "team")] == ["NotAnOperatorNamespace"] * 2


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"marks": "mark: big"}, "configmap/rulepack-params/marks:1:1: mark in rulepack/system/marks goes before it"),
        ({"_all": "mark: theirs"}, "configmap/rulepack-params/_all:1:1: mark in rulepack/system/marks goes before it"),
        ({"marks": "mark: mine"}, None),
    ],
    ids=["the default", "for all packs", "the same"],
)
async def test_each_param_that_a_rulepack_goes_before_is_reported(
    packs: Packs, data: dict[str, str], expected: str | None
) -> None:
    """Also one that says what the pack's default is, and one for all packs; not where both say the same."""
    async with packs.running(packs.operator()):
        await packs.clock.advance(5)
        await packs.cluster.patch(RULE_PACK, "system", "marks", {"spec": {"params": {"mark": "mine"}}})
        await packs.config_map("rulepack-params", data)
        await packs.clock.advance(5)

        assert await packs.status("rulepack-params") == expected


async def test_settings_that_a_rulepack_goes_before_say_so(packs: Packs) -> None:
    """A flag that is less strict than the object's mode, and a param that the object has too."""
    async with packs.running(packs.operator()):
        await packs.clock.advance(5)
        await packs.cluster.patch(RULE_PACK, "system", "marks", {"spec": {"mode": "Audit", "params": {"mark": "mine"}}})
        await packs.config_map("rulepack-feature-flags", {"marks": "Enforce"})
        await packs.config_map("rulepack-params", {"marks": "mark: theirs"})
        await packs.clock.advance(5)
        flags, params = await packs.status("rulepack-feature-flags"), await packs.status("rulepack-params")
        mode = (await packs.got("marks"))["status"]["mode"]

    assert flags == "configmap/rulepack-feature-flags/marks:1:1: rulepack/system/marks says Audit, which is stricter"
    assert params == "configmap/rulepack-params/marks:1:1: mark in rulepack/system/marks goes before it"
    assert mode == "Audit"


async def test_a_process_beside_an_installed_operator_is_refused_and_changes_nothing(packs: Packs) -> None:
    """It would otherwise wait for the operator's restart, take its Lease, and call its packs missing."""
    async with packs.running(packs.operator()):
        await packs.clock.advance(10)
    before = await packs.got("marks")
    (packs.rules / "pack.yaml").write_text(PACK.replace("name: marks}", "name: own}"))
    writes = len(packs.cluster.writes)

    with pytest.raises(UsageError, match=r"Lease system/rulepack is that of an operator installed in the cluster"):
        await packs.operator(in_pod=False).run(asyncio.Event())

    assert len(packs.cluster.writes) == writes
    assert await packs.got("marks") == before


async def test_a_pack_that_another_operator_ships_keeps_its_status(packs: Packs) -> None:
    """An operator of some packs says nothing of others, neither in a status nor in the log."""
    async with packs.running(packs.operator()):
        await packs.clock.advance(10)
    before = (await packs.got("marks"))["status"]
    (packs.rules / "pack.yaml").write_text(PACK.replace("name: marks}", "name: own}"))
    second = packs.operator(lease_name="second")
    async with packs.running(second):
        await packs.clock.advance(30)

    assert (await packs.got("marks"))["status"] == before
    assert [fault for report in second.packs.reports for fault in report.faults] == []


LOOKING = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: looking}
spec:
  watch: {apiVersion: example.com/v1, kind: Widget}
  targets:
    - apiVersion: v1
      kind: ConfigMap
      verbs: [list, watch]
      consent: "target.data.open == 'yes'"
      description: it says that it is open
  rules:
    - name: paint
      lookup:
        settings: {apiVersion: v1, kind: ConfigMap, namespace: theirs, name: settings}
      actions: [{annotate: {annotations: {example.com/mark: '${lookup.settings.data.open}'}}}]
"""


async def test_a_lookup_without_consent_is_reported_in_the_status(packs: Packs) -> None:
    """On the RulePack, whose other objects go on, and on the ConfigMap that holds it; until there is consent."""
    await packs.cluster.create(Resource(Kind("v1", "Namespace"), "namespaces", False), "", {"metadata": {"name": "theirs"}})
    await packs.cluster.create(CONFIG_MAP, "theirs", {"metadata": {"name": "settings"}, "data": {"open": "no"}})
    for name in ("one", "two"):
        await packs.widget(name)
    async with packs.running(packs.operator()):
        await packs.config_map("packs", {"looking.yaml": LOOKING}, pack=True)
        await packs.clock.advance(40)
        why = (
            "rule paint has no answer for some objects, such as Widget default/one: lookup is refused: ConfigMap theirs/settings"
            " is in another namespace and does not consent: it says that it is open"
        )
        ready = await packs.condition("Ready", "looking")
        status = await packs.status("packs")
        await packs.cluster.patch(CONFIG_MAP, "theirs", "settings", {"data": {"open": "yes"}})
        await packs.clock.advance(40)

        assert ready == ("True", "InForce", f"the pack is in force, and acts; {why}")
        assert status == f"in force, with warnings:\n{why}"
        assert await packs.condition("Ready", "looking") == ("True", "InForce", "the pack is in force, and acts")
        assert await packs.status("packs") == "ok"
        events = [event for event in await packs.events() if event["reason"] == "RulePackWarnings"]
        assert len(events) == 1


async def test_the_last_good_text_is_explained_with_what_the_operator_knows(packs: Packs) -> None:
    """It says so, and why the newest is refused; also of a ConfigMap. By plain HTTP, which everybody may read, there is none."""
    async with packs.running(operator := packs.operator()):
        await packs.put("own", spec())
        await packs.config_map("text", {"pack.yaml": PACK.replace("marks", "held")}, pack=True)
        await packs.clock.advance(5)
        await packs.put("own", spec(descripton="slip"))
        held = {"data": {"pack.yaml": PACK.replace("marks", "held").replace("spec:", "speck:")}}
        await packs.cluster.patch(CONFIG_MAP, "system", "text", held)
        await packs.clock.advance(5)
        kept = json.loads(json.dumps(operator.packs.last_good()))
        by_plain_http = json.loads((await ask(operator, "/packs"))[1])["lastGood"]
        own, text = await packs.got("own"), await packs.cluster.get(CONFIG_MAP, "system", "text")

    assert by_plain_http == {}
    store = PackStore(backend())
    store.update((), earlier([text], kept), objects=earlier([own], kept))
    reports = store.update((), [text], objects=[own])

    assert store.catalog.packs.keys() == {"own", "held"}
    assert {report.source for report in reports if report.faults} == {"rulepack/system/own", "configmap/system/text"}
    faulty = {"rulepack/system/own": "unknown key 'descripton'"}
    assert [*unexplained(faulty, [own], faulty)] == [
        "rulepack/system/own: the newest text is refused, and the last good one, which is in force, is explained: "
        "unknown key 'descripton'"
    ]
