"""Consent on the whole line: remembered answers do not outlive a refused request, and no answer is no consent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from engine.cel import backend
from engine.kube.faults import InjectedFault
from engine.model.flags import Mode
from engine.model.objects import Kind, annotations_of
from engine.packs.parse import parse_pack
from tests.world import EVENT, POD, World, named, pod

CONFIG = Kind("v1", "ConfigMap")
PACK = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: p}
spec:
  watch: {apiVersion: v1, kind: ConfigMap}
  targets:
    - {apiVersion: v1, kind: Pod, verbs: [get, patch]}
  rules:
    - name: r
      when: has(object.data.turn)
      oncePer: object.data.turn
      actions:
        - annotate:
            target: {apiVersion: v1, kind: Pod, namespace: theirs, name: web}
            annotations: {turn: '${object.data.turn}'}
"""


LOOKUP = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: p}
spec:
  watch: {apiVersion: v1, kind: ConfigMap}
  targets:
    - {apiVersion: v1, kind: Pod, verbs: [list, watch], CONSENT}
  rules:
    - name: r
      EVENT
      lookup: {web: {apiVersion: v1, kind: Pod, namespace: theirs, name: web}}
      when: lookup.web != null
      actions: [{ACTION}]
"""
"""A pack that looks up an object of another namespace."""
TURN = "annotate: {annotations: {turn: '${lookup.web.metadata.name}'}}"


class Office:
    """Who answers SubjectAccessReviews, and the verbs it was asked about."""

    def __init__(self, world: World) -> None:
        self.allowed, self.verbs = True, list[str]()
        world.engine.access = self._answer

    def _answer(self, spec: Mapping[str, Any]) -> bool:
        self.verbs.append(spec["resourceAttributes"]["verb"])
        return self.allowed


async def world_of(text: str = PACK) -> World:
    (pack,) = parse_pack(text, "pack.yaml", backend())
    world = World(pack)
    await world.create(pod("web", namespace="theirs"), named(CONFIG, "c", data={}))
    return world


async def turn(world: World, number: int) -> None:
    """The next occasion for the rule, evaluated at once."""
    await world.patch(CONFIG, "c", {"data": {"turn": str(number)}})
    await world.settle()


async def mark(world: World) -> str | None:
    return annotations_of(await world.get(POD, "web", "theirs")).get("turn")


async def test_answers_are_remembered_until_a_request_is_refused() -> None:
    """A 403 says that rights have changed: whatever was remembered is asked anew, before half a minute is over."""
    world = await world_of()
    office = Office(world)
    await turn(world, 1)
    await turn(world, 2)
    assert (await mark(world), office.verbs) == ("2", ["get", "patch"])

    world.engine.faults.add(InjectedFault(403, verb="patch", kind="Pod"))
    office.allowed = False
    await turn(world, 3)
    await world.settle(10)

    assert office.verbs == ["get", "patch", "get", "patch"]
    assert await mark(world) == "2"
    (event,) = await world.all(EVENT)
    assert "may not get and patch pods web in namespace theirs" in event["message"]


async def test_a_right_that_is_taken_away_counts_after_half_a_minute() -> None:
    """Without any refused request too."""
    world = await world_of()
    office = Office(world)
    await turn(world, 1)
    office.allowed = False
    await world.settle(30)
    await turn(world, 2)

    assert await mark(world) == "1"


async def test_no_answer_is_no_consent_and_no_refusal() -> None:
    """While the API server cannot say, nothing is done and nothing has failed; once it can, the rule goes on."""
    world = await world_of()
    Office(world)
    world.engine.faults.add(InjectedFault(503, verb="create", kind="SubjectAccessReview", times=2))
    await turn(world, 1)
    assert await mark(world) is None
    await world.settle(60)

    assert await mark(world) == "1"
    assert await world.all(EVENT) == []


async def test_consent_without_an_answer_quotes_nothing_of_the_target() -> None:
    """The Event is for readers of the object's namespace, who may have no right in the target's."""
    world = await world_of(PACK.replace("verbs: [get, patch]", "verbs: [get, patch], consent: int(target.metadata.name) == 3"))
    await turn(world, 1)

    ((_, reason, message),) = await world.events()
    assert reason == "RuleFailed"
    assert message.endswith("whether it consents has no answer: 'int(target.metadata.name) == 3'")


def looking_up(consent: str = "consent: \"label(target, 'shared') == 'yes'\"", event: str = "event: Change") -> str:
    """A pack with a lookup."""
    return LOOKUP.replace("CONSENT", consent).replace("EVENT", event).replace("ACTION", TURN)


async def test_a_lookup_without_consent_is_reported_at_once_and_goes_on_with_it() -> None:
    """An Event on the object says what is missing, once; a label that gives consent has the rule evaluated at once."""
    world = await world_of(looking_up())
    await world.settle()
    await world.patch(CONFIG, "c", {"data": {"other": "field"}})
    await world.settle(60)

    ((name, reason, message),) = await world.events()
    assert (name, reason) == ("c", "LookupRefused")
    assert message.startswith(
        "Rule p/r has no answer: lookup is refused: Pod theirs/web is in another namespace and does not consent"
    )
    assert await world.annotations(CONFIG, "c") == {}

    before = world.clock.monotonic()
    await world.patch(POD, "web", {"metadata": {"labels": {"shared": "yes"}}}, "theirs")
    await world.settle()
    assert await world.annotations(CONFIG, "c") == {"turn": "web"}
    assert world.clock.monotonic() == before


async def test_a_lookup_that_was_refused_is_asked_about_again() -> None:
    """No watch shows that an account has a right now, so a SubjectAccessReview is asked for every five minutes."""
    world = await world_of(looking_up(consent="consent: SubjectAccessReview"))
    office = Office(world)
    office.allowed = False
    await world.settle(290)
    assert [reason for _, reason, _ in await world.events()] == ["LookupRefused"]
    assert len(office.verbs) == 1

    office.allowed = True
    await world.settle(20)

    assert await world.annotations(CONFIG, "c") == {"turn": "web"}


async def test_a_pack_that_is_audited_writes_no_event_of_a_lookup() -> None:
    """Nothing is written in Audit; `explain` and the log say it all the same."""
    world = await world_of(looking_up())
    world.catalog = replace(world.catalog, modes={"p": Mode.AUDIT})

    await world.settle(60)

    assert await world.events() == []
    assert any("lookup is refused" in reason for _, _, reason in world.seen.evaluations)


async def test_what_is_gone_is_not_asked_about_again() -> None:
    """Where the lookup of an object that is gone is refused, that is the end of it."""
    world = await world_of(looking_up(event="event: Delete").replace(TURN, "emitEvent: {type: Normal, reason: R, message: m}"))
    await world.settle()
    await world.delete(CONFIG, "c")
    await world.settle(900)

    assert [reason for _, reason, _ in await world.events()] == ["LookupRefused"]
    assert len([each for each in world.seen.evaluations if each[0] == "p/r"]) == 1
