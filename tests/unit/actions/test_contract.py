"""What holds of every action: it needs what it asks of the cluster, writes nothing in Audit, goes on after an outage, and
says of itself what lint, `rulepack rbac` and the reference then know.

A new action needs an entry in EXAMPLES; nothing else here, and nothing else in the engine, knows its name.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from engine.actions import ACTIONS
from engine.cel import backend
from engine.kube.faults import Effect, InjectedFault
from engine.model.flags import Mode
from engine.model.objects import Kind, ObjectKey
from engine.model.observe import ActResult
from engine.packs.lint import lint
from engine.packs.pack import RulePack
from engine.packs.parse import parse_pack
from engine.packs.rbac import granted
from engine.packs.sources import Text
from tests.world import POD, World, named, pod

CONFIG, EVENT = Kind("v1", "ConfigMap"), Kind("v1", "Event")
NOTE = "${object.data.note}"
OTHER = {"apiVersion": "v1", "kind": "Pod", "name": "other"}
REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "actions.md"


@dataclass(frozen=True)
class Example:
    """One action: a spec in which a template reads the object's note, and the first request to the cluster that it makes."""

    spec: dict[str, Any]
    request: str = ""
    kind: Kind = POD
    own: bool = False
    counters: frozenset[str] = field(default=frozenset({"seen_total"}))


EXAMPLES = {
    "annotate": Example({"annotations": {"a/note": NOTE}, "target": OTHER}, "patch"),
    "apply": Example({"manifest": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "y"}, "data": {"note": NOTE}}},
                     "patch", CONFIG),
    "assert": Example({"target": OTHER, "that": "object.data.note == 'kept'"}, "get"),
    "delete": Example({"target": OTHER, "where": "object.data.note == 'kept'"}, "delete"),
    "emitEvent": Example({"type": "Normal", "reason": "Noted", "message": NOTE}, "create", Kind("v1", "Event")),
    "http": Example({"url": "https://a.example/hook", "json": {"note": NOTE}, "headers": {"Authorization": "${secrets.token}"},
                     "secrets": {"token": {"name": "hook", "key": "token"}}}),
    "label": Example({"labels": {"a/note": NOTE}}, "patch", CONFIG, own=True),
    "metric": Example({"name": "seen_total", "labels": {"note": NOTE}}),
    "patch": Example({"target": OTHER, "patch": {"metadata": {"annotations": {"a/note": NOTE}}}}, "patch"),
    "scale": Example({"target": OTHER, "replicas": "${size(object.data.note)}"}, "patch"),
    "wait": Example({"lookup": {"other": OTHER}, "until": "lookup.other != null && object.data.note == 'kept'"}, "get"),
}  # fmt: skip


def text_of(name: str, spec: dict[str, Any], **rule: Any) -> str:
    """A pack of one rule with one action, as JSON, which is YAML too."""
    targets = [{"apiVersion": "v1", "kind": kind, "verbs": ["get", "create", "patch", "delete"]} for kind in ("Pod", "ConfigMap")]
    body = {
        "apiVersion": "rules.mlops.dev/v1alpha1", "kind": "RulePack", "metadata": {"name": "p"}, "spec": {
            "watch": {"apiVersion": "v1", "kind": "ConfigMap", "fields": ["data.note"], "labelSelector": {"watched": "yes"}},
            "targets": targets, "metrics": {"seen_total": {"type": "counter", "help": "Seen.", "labels": ["note"]}},
            "rules": [{"name": "r", "when": "object.data.note != ''", "actions": [{name: spec}], **rule}],
        },
    }  # fmt: skip
    return json.dumps(body, indent=1)


def pack_of(name: str, **rule: Any) -> RulePack:
    """A compiled pack with the example of an action."""
    (pack,) = parse_pack(text_of(name, EXAMPLES[name].spec, **rule), "pack.yaml", backend())
    return pack


async def world_of(name: str, mode: Mode = Mode.ENFORCE) -> World:
    """A cluster with a watched object and the target of the example, before the engine has seen them."""
    world = World(pack_of(name, oncePer="object.metadata.uid"), modes={"p": mode})
    watched = named(CONFIG, "c", data={"note": "kept", "unread": "x" * 100})
    watched["metadata"]["labels"] = {"watched": "yes"}
    await world.create(watched, pod("other"))
    return world


def faults_of(name: str, spec: dict[str, Any], **rule: Any) -> list[str]:
    """The codes that lint gives a pack with an action."""
    return [fault.code for fault in lint([Text("pack.yaml", text_of(name, spec, **rule), "pack.yaml")], backend())[1]]


def test_every_action_has_an_example() -> None:
    """What holds of every action is tried with each one in the table."""
    assert EXAMPLES.keys() == ACTIONS.keys()


@pytest.mark.parametrize("name", ACTIONS)
async def test_it_acts_on_what_the_operator_keeps_of_an_object(name: str) -> None:
    """The field that a template reads is there, though all that no expression reads is dropped from the cache."""
    world = await world_of(name)

    await world.settle()

    assert [act.result for act in world.seen.acts][-1] in (ActResult.DONE, ActResult.UNCHANGED)
    cached = world.caches.get(next(iter(world.catalog.packs.values())), ObjectKey(CONFIG, "ns", "c"))
    assert cached is not None
    assert cached.object["data"] == {"note": "kept"}


@pytest.mark.parametrize("name", ACTIONS)
async def test_it_needs_what_it_asks_of_the_cluster(name: str) -> None:
    """Each request is one of its needs, or the patch of the watched object; `rulepack rbac` grants no other verb for it."""
    world = await world_of(name)
    (action,) = [entry.action for entry in pack_of(name).rules[0].actions]

    await world.settle()

    asked = {(call.ref.kind, call.verb) for call in world.engine.calls if call.verb != "discover"} - {(CONFIG, "patch")}
    assert asked <= {(need.kind, need.verb) for need in action.needs()}
    assert action.writes_own() == EXAMPLES[name].own
    rights = granted([pack_of(name, rescue=[{"metric": {"name": "seen_total", "labels": {"note": "x"}}}])]).by_resource
    every_pack = {("authorization.k8s.io", "subjectaccessreviews"), ("", "events")}  # for consent, and for what waits or fails
    verbs = {verb for resource, verbs in rights.items() if resource not in every_pack for verb in verbs} - {"watch", "list"}
    needed = {need.verb for need in action.needs() if need.kind != EVENT and not need.name}
    assert verbs == needed | ({"patch"} if action.writes_own() else set())


@pytest.mark.parametrize("name", ACTIONS)
async def test_it_writes_nothing_in_audit(name: str) -> None:
    """Audit makes no write but a dry run, and puts nothing on record."""
    world = await world_of(name, Mode.AUDIT)

    await world.settle()

    assert world.seen.acts
    assert [call for call in world.engine.writes if not call.dry_run] == []
    assert world.seen.measurements == []


@pytest.mark.parametrize("name", [name for name, example in EXAMPLES.items() if example.request])
async def test_it_goes_on_after_an_outage(name: str) -> None:
    """A request that has no answer at first is made again, and the effect is there once."""
    example, world = EXAMPLES[name], await world_of(name)
    world.engine.faults.add(InjectedFault(Effect.CUT_BEFORE, verb=example.request, kind=example.kind.kind, times=2))

    await world.settle(120)

    requests = [call for call in world.engine.calls if (call.verb, call.ref.kind) == (example.request, example.kind)]
    assert [call.status for call in requests][:3] == [0, 0, 200]
    aside = {ActResult.RETRYING} if ACTIONS[name].notifies else set[ActResult]()  # what only notifies is tried again aside
    assert [act.result for act in world.seen.acts][-1] in {ActResult.DONE, ActResult.UNCHANGED, *aside}


@pytest.mark.parametrize("name", ACTIONS)
def test_lint_knows_what_it_writes(name: str) -> None:
    """`now` is refused in each part that is written, and in no other."""
    for part, value in EXAMPLES[name].spec.items():
        spoiled = json.loads(json.dumps(value).replace(NOTE, "${string(now)}"))
        if spoiled != value:
            faults = faults_of(name, {**EXAMPLES[name].spec, part: spoiled}, oncePer="object.metadata.uid")
            assert ("now-written" in faults) == (part in ACTIONS[name].written), part
    assert ACTIONS[name].written <= {each.alias or key for key, each in ACTIONS[name].Schema.model_fields.items()}


@pytest.mark.parametrize("name", ACTIONS)
def test_lint_asks_for_an_occasion_where_a_repeat_does_harm(name: str) -> None:
    """A rule without `oncePer` gets a warning exactly where the action says that a repeat is not harmless."""
    (action,) = [entry.action for entry in pack_of(name).rules[0].actions]

    faults = faults_of(name, EXAMPLES[name].spec)

    assert ("missing-once-per" in faults) == bool(action.repeated(EXAMPLES[name].counters))


@pytest.mark.parametrize("name", ACTIONS)
def test_it_is_in_the_reference(name: str) -> None:
    """The reference, which is generated from the schema, has the action and each of its keys with a description."""
    text = REFERENCE.read_text()
    section = text[text.index(f"## {name}\n") :].split("\n## ")[0]
    for key, each in ACTIONS[name].Schema.model_fields.items():
        assert f"`{each.alias or key}`" in section
        assert each.description
