"""What actions do to the object that they are about, where that is the watched one, or several."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.cel import backend
from engine.kube.api import Selection
from engine.model.flags import Mode
from engine.model.objects import Kind, Resource
from engine.model.observe import ActResult
from engine.packs.lint import lint
from engine.packs.pack import RulePack
from engine.packs.parse import parse_pack
from engine.packs.rbac import granted
from engine.packs.sources import Text
from tests.world import DEPLOYMENT, World, named

CONFIG = Kind("v1", "ConfigMap")
TARGETS = [
    {"apiVersion": "apps/v1", "kind": "Deployment", "verbs": ["get", "list", "patch", "delete"]},
    {"apiVersion": "v1", "kind": "ConfigMap", "verbs": ["get", "list", "patch", "delete"]},
]


def text(*actions: dict[str, Any], **fields: Any) -> str:
    """A pack that watches Deployments, as JSON."""
    rule = {"name": "r", "oncePer": "object.metadata.uid", "existing": "CatchUp", "actions": list(actions)}
    spec = {"watch": {"apiVersion": "apps/v1", "kind": "Deployment"}, "targets": TARGETS, "rules": [rule], **fields}
    return json.dumps({"apiVersion": "rules.mlops.dev/v1alpha1", "kind": "RulePack", "metadata": {"name": "p"}, "spec": spec})


def pack(*actions: dict[str, Any], **fields: Any) -> RulePack:
    """The pack."""
    (found,) = parse_pack(text(*actions, **fields), "pack.yaml", backend())
    return found


def said(content: str) -> list[str]:
    """What lint says, but for rights that are granted and not used."""
    return [fault.text for fault in lint([Text("p", content, "p")], backend())[1] if fault.code != "unused-target"]


async def played(*actions: dict[str, Any], mode: Mode = Mode.ENFORCE) -> World:
    """A world in which a Deployment of 3 replicas was met by a rule with these actions."""
    world = World(pack(*actions), modes={"p": mode})
    configs = [named(CONFIG, name, data={"n": name}) for name in ("a", "b", "c")]
    for obj in configs[:2]:
        obj["metadata"]["labels"] = {"app": "x"}
    await world.create(*configs, named(DEPLOYMENT, "web", spec={"replicas": 3, "paused": False, "template": {}}))
    await world.settle()
    return world


async def web(world: World) -> dict[str, Any]:
    """The watched Deployment."""
    return dict(await world.get(DEPLOYMENT, "web"))


async def test_a_patch_without_a_target_is_of_the_watched_object() -> None:
    """As it is now, which `target` gives; the right is the one on its kind."""
    action = {"patch": {"patch": {"spec": {"paused": True, "replicas": "${target.spec.replicas + 1}"}}}}
    world = await played(action)
    spec = (await web(world))["spec"]
    assert (spec["paused"], spec["replicas"]) == (True, 4)
    assert [write for write in world.writes if "Deployment" in write][:1] == ["patch Deployment ns/web"]
    verbs = granted([pack(action)]).by_resource["apps", "deployments"]
    assert {"get", "patch", "list", "watch"} == verbs.keys()
    assert "configmaps" not in {resource for _, resource in granted([pack(action)]).by_resource}


def test_what_a_patch_of_the_watched_object_needs_has_to_be_declared() -> None:
    """`targets` bounds everything that a pack may touch, the watched objects included."""
    assert said(text({"patch": {"patch": {"spec": {"paused": True}}}}, targets=TARGETS[1:])) == [
        "the pack's targets do not have get and patch on Deployment (apps/v1); expected an entry with it under targets"
    ]


@pytest.mark.parametrize(
    ("spec", "replicas"),
    [
        ({"replicas": 0}, 0),
        ({"replicas": "${object.spec.replicas * 2}"}, 6),
        (
            {"replicas": "${target.spec.replicas - 1}", "target": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}},
            2,
        ),
    ],
)
async def test_scale_sets_replicas(spec: dict[str, Any], replicas: int) -> None:
    """Of the watched object, or of another one, to a number or to what an expression gives."""
    world = await played({"scale": spec})
    assert (await web(world))["spec"]["replicas"] == replicas


async def test_scale_leaves_alone_what_is_as_wanted() -> None:
    """The firing is recorded, and nothing else is written."""
    world = await played({"scale": {"replicas": 3}})
    assert [act.result for act in world.seen.acts] == [ActResult.UNCHANGED]
    assert world.writes == ["patch Deployment ns/web"]


async def test_scale_says_in_audit_what_would_change() -> None:
    """And writes nothing."""
    world = await played({"scale": {"replicas": 5}}, mode=Mode.AUDIT)
    assert [act.diff for act in world.seen.acts] == [("spec.replicas: 3 → 5",)]
    assert (await web(world))["spec"]["replicas"] == 3


@pytest.mark.parametrize("replicas", [-1, "many", 2**31, True])
def test_scale_takes_numbers_only(replicas: object) -> None:
    """What stands in the pack is refused when it is read."""
    (fault,) = said(text({"scale": {"replicas": replicas}}))
    assert "expected" in fault


@pytest.mark.parametrize("replicas", ["${-1}", "${'3'}", "${1.5}", "${object.metadata.name}"])
async def test_scale_fails_where_an_expression_gives_no_number(replicas: str) -> None:
    """With what it gave."""
    world = await played({"scale": {"replicas": replicas}})
    assert world.seen.acts[0].result is ActResult.FAILED
    assert "expected a whole number from 0 on" in world.seen.acts[0].detail


def test_two_rules_that_scale_the_same_fight() -> None:
    """As two that patch the same field do."""
    rules = [
        {"name": f"to-{number}", "throttle": {"every": "1m"}, "actions": [{"scale": {"replicas": number}}]} for number in (1, 2)
    ]
    (fault,) = said(text(rules=rules))
    assert "also writes field spec.replicas of the same object" in fault


@pytest.mark.parametrize(("action", "part"), [("label", "labels"), ("annotate", "annotations")])
async def test_a_list_of_targets_is_written_one_by_one(action: str, part: str) -> None:
    """Each by name or by labels, an object that two of them pick once; what it gives counts them."""
    by_name = {"apiVersion": "v1", "kind": "ConfigMap", "name": "c"}
    by_label = {"apiVersion": "v1", "kind": "ConfigMap", "labelSelector": {"app": "x"}}
    again = {"apiVersion": "v1", "kind": "ConfigMap", "name": "a"}
    world = await played(
        {action: {part: {"example.com/of": "${target.data.n}"}, "targets": [by_name, by_label, again]}, "register": "marked"},
        {"annotate": {"annotations": {"example.com/marked": "${results.marked.changed}"}}},
    )
    found = {name: (await world.get(CONFIG, name))["metadata"].get(part, {}).get("example.com/of") for name in ("a", "b", "c")}
    assert found == {"a": "a", "b": "b", "c": "c"}
    assert (await web(world))["metadata"]["annotations"]["example.com/marked"] == "3"


def test_a_target_and_targets_are_too_many() -> None:
    """One of both says what an action is about."""
    target = {"apiVersion": "v1", "kind": "ConfigMap", "name": "a"}
    (fault,) = said(text({"label": {"labels": {"a": "b"}, "target": target, "targets": [target]}}))
    assert "target and targets stand here; expected one of both" in fault


async def test_a_target_of_a_list_that_is_not_there_is_waited_for() -> None:
    """The others are written meanwhile."""
    targets = [{"apiVersion": "v1", "kind": "ConfigMap", "name": name} for name in ("gone", "c")]
    world = await played({"label": {"labels": {"example.com/of": "x"}, "targets": targets}})
    assert (await world.get(CONFIG, "c"))["metadata"]["labels"] == {"example.com/of": "x"}
    assert [act.detail for act in world.seen.acts if act.result is ActResult.WAITING] == ["ConfigMap ns/gone not found"]


@pytest.mark.parametrize(("policy", "left"), [(None, False), ("Background", False), ("Foreground", False), ("Orphan", True)])
async def test_delete_says_what_becomes_of_what_the_object_owns(policy: str | None, left: bool) -> None:
    """Dependents go with it, unless they are orphaned."""
    spec = {"target": {"apiVersion": "v1", "kind": "ConfigMap", "name": "a"}, **({"propagationPolicy": policy} if policy else {})}
    world = World(pack({"delete": spec}), modes={"p": Mode.ENFORCE})
    await world.create(named(CONFIG, "a"))
    uid = (await world.get(CONFIG, "a"))["metadata"]["uid"]
    owned = named(CONFIG, "owned")
    owned["metadata"]["ownerReferences"] = [{"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": uid}]
    await world.create(owned, named(DEPLOYMENT, "web", spec={"replicas": 1}))
    await world.settle()
    page = await world.cluster.list(Selection(Resource(CONFIG, "configmaps", True), "ns"))
    assert {obj["metadata"]["name"] for obj in page.items} == ({"owned"} if left else set())


async def test_a_deletion_without_a_target_is_of_the_watched_object() -> None:
    """It needs the right on its kind, and no other object goes."""
    world = await played({"delete": {}})
    found = await world.all(DEPLOYMENT)
    assert (found, len(await world.all(CONFIG))) == ([], 3)
    assert said(text({"delete": {}}, targets=TARGETS[1:])) == [
        "the pack's targets do not have get and delete on Deployment (apps/v1); expected an entry with it under targets"
    ]


def test_an_eviction_has_no_propagation_policy() -> None:
    """A pod owns nothing, and the Eviction API takes none."""
    target = {"apiVersion": "v1", "kind": "ConfigMap", "name": "a"}
    faults = said(text({"delete": {"target": target, "evict": True, "propagationPolicy": "Orphan"}}))
    assert any("propagationPolicy with evict" in fault for fault in faults)


@pytest.mark.parametrize(
    ("actions", "problem"),
    [
        ([{"scale": {"replicas": 1}, "register": "s"}, {"annotate": {"annotations": {"a": "${results.s.chnged}"}}}], "changed"),
        ([{"scale": {"replicas": 1}, "register": "s"}, {"annotate": {"annotations": {"a": "${results.x.changed}"}}}], "'s'"),
        ([{"scale": {"replicas": 1}, "register": "s"}, {"when": "results.s.changed == '1'", "label": {"labels": {"a": "b"}}}],
         "results.s.changed == 1"),
    ],
)  # fmt: skip
def test_results_have_names_and_types(actions: list[dict[str, Any]], problem: str) -> None:
    """A result that no action gives, and one of another type, are found."""
    (fault,) = said(text(*actions))
    assert problem in fault
