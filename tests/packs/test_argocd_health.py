"""The pack argocd-health, and the configuration of Argo CD that it keeps."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from engine.kube.faults import Effect, InjectedFault
from engine.model.flags import Mode
from engine.model.objects import Kind, Object
from tests.world import PROJECT, RULES, World, named, names, shipped

PACK = "argocd-health"
CONFIG_MAP = Kind("v1", "ConfigMap")
CONFIG = RULES.parent / "config/argocd"
KEYS: dict[str, str] = yaml.safe_load((CONFIG / "argocd-cm.yaml").read_text())["data"]
HEALTH = "resource.customizations.health.mlops.mlops.dev_NotebookValidationJob"
APPLICATIONS = "resource.customizations.ignoreResourceUpdates.argoproj.io_Application"
AS_INSTALLED = """\
jqPathExpressions:
  - '.metadata.annotations."notified.notifications.argoproj.io"'
  - '.metadata.annotations."argocd.argoproj.io/refresh"'
  - '.metadata.annotations."argocd.argoproj.io/hydrate"'
  - '.operation'
"""
AS_INSTALLED_3_6 = AS_INSTALLED.replace(
    """  - '.operation'
""",
    """  - '.metadata.annotations."argocd.argoproj.io/refresh-timestamp"'
  - '.metadata.annotations."argocd.argoproj.io/hydrate-timestamp"'
  - '.operation'
""",
)
FILES = ("argocd.yaml", "notifications.yaml")
OWNER = {
    "apiVersion": "argoproj.io/v1beta1", "kind": "ArgoCD", "name": "openshift-gitops", "uid": "a", "controller": True,
}  # fmt: skip


def argocd_cm(data: Mapping[str, str] | None = None, name: str = "argocd-cm", namespace: str = "argocd") -> Object:
    """Argo CD's ConfigMap."""
    meta = {"name": name, "namespace": namespace, "labels": {"app.kubernetes.io/part-of": "argocd"}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, **({} if data is None else {"data": dict(data)})}


def enforcing(**params: Any) -> World:
    return World(shipped(PACK), modes={PACK: Mode.ENFORCE}, params={PACK: params})


async def kept(data: Mapping[str, str] | None = None, **params: Any) -> World:
    world = enforcing(**params)
    await world.create(argocd_cm(data))
    await world.settle()
    return world


async def data_of(world: World) -> dict[str, str]:
    return dict((await world.get(CONFIG_MAP, "argocd-cm", "argocd")).get("data", {}))


async def change(world: World, data: Mapping[str, str | None]) -> None:
    await world.patch(CONFIG_MAP, "argocd-cm", {"data": data}, "argocd")
    await world.settle()


def test_the_pack_keeps_what_the_component_holds() -> None:
    """Both are written from config/argocd/keys/."""
    assert shipped(PACK).params["keys"].default == KEYS
    assert sorted(KEYS) == sorted(file.name for file in (CONFIG / "keys").iterdir())


def test_openshift_gitops_gets_the_same_by_its_own_resources() -> None:
    """All keys in the ArgoCD's extraConfig; trigger and templates in the NotificationsConfiguration."""
    argocd, notifications = (yaml.safe_load((CONFIG.parent / "openshift-gitops" / name).read_text()) for name in FILES)
    assert argocd["spec"]["extraConfig"] == KEYS
    data = yaml.safe_load((CONFIG / "argocd-notifications-cm.yaml").read_text())["data"]
    assert {**notifications["spec"]["triggers"], **notifications["spec"]["templates"]} == data
    assert all(key.startswith("trigger.") for key in notifications["spec"]["triggers"])


@pytest.mark.parametrize(
    ("about", "advice"),
    [
        ({"ownerReferences": [OWNER]}, "config/openshift-gitops"),
        ({"annotations": {"argocd.argoproj.io/tracking-id": "argocd:/ConfigMap:argocd/argocd-cm"}}, "config/argocd"),
    ],
)
async def test_a_config_map_that_somebody_manages_is_left_to_them_and_reported(about: Object, advice: str) -> None:
    """What is written there would be taken back; one Event says where to put it instead."""
    world = enforcing()
    obj = argocd_cm()
    await world.create({**obj, "metadata": {**obj["metadata"], **about}})
    await world.settle(600, step=60)
    ((_, reason, message),) = await world.events()
    assert (reason, await data_of(world)) == ("KeyNotOurs", {})
    assert advice in message


def test_every_value_is_what_argo_cd_reads() -> None:
    """Health is Lua, customLabels a list without a line end, the rest YAML; no action lacks its script."""
    for key, value in KEYS.items():
        kind = key.removeprefix("resource.").removeprefix("customizations.").split(".")[0]
        if kind == "actions":
            actions = yaml.safe_load(value)
            assert "return" in actions["discovery.lua"]
            assert all("return obj" in definition["action.lua"] for definition in actions["definitions"])
        elif kind == "ignoreResourceUpdates":
            assert yaml.safe_load(value)["jqPathExpressions"]
        elif kind == "customLabels":
            assert value == "mlops.dev/model-freshness"
        else:
            assert kind == "health"
            assert value.endswith("return hs\n")


def test_the_pack_is_off_by_default() -> None:
    """Nobody's Argo CD is configured unasked."""
    assert shipped(PACK).default_mode is Mode.OFF


@pytest.mark.parametrize("data", [None, {}, {"url": "https://argocd.example.com"}])
async def test_missing_keys_are_written(data: Mapping[str, str] | None) -> None:
    """All keys are there then, what else was there stays, and nothing is reported."""
    world = await kept(data)
    assert await data_of(world) == {**(data or {}), **KEYS}
    assert await world.events() == []


@pytest.mark.parametrize("stock", [AS_INSTALLED, AS_INSTALLED_3_6])
async def test_what_argo_cd_comes_with_is_taken_over(stock: str) -> None:
    """The key for Applications as Argo CD 3.2 to 3.6 installs it is nobody's; the new value holds its entries."""
    world = await kept({APPLICATIONS: stock})
    assert (await data_of(world))[APPLICATIONS] == KEYS[APPLICATIONS]
    installed = yaml.safe_load(stock)["jqPathExpressions"]
    assert set(installed) < set(yaml.safe_load(KEYS[APPLICATIONS])["jqPathExpressions"])


async def test_a_key_that_was_there_before_stays_and_is_reported() -> None:
    """One Event says which key, and what to do."""
    world = await kept({HEALTH: "return {}"})
    assert (await data_of(world))[HEALTH] == "return {}"
    ((_, reason, message),) = await world.events()
    assert reason == "KeyNotOurs"
    assert message.startswith(f"{HEALTH} stays as it is")
    assert "argocd-health.mlops.dev/health.mlops.mlops.dev_NotebookValidationJob" in message


async def test_a_key_that_has_the_wanted_value_already_needs_nothing() -> None:
    """Where GitOps has put the same text there, it is not claimed."""
    world = await kept(KEYS)
    assert (world.writes, await world.annotations(CONFIG_MAP, "argocd-cm", "argocd")) == ([], {})


@pytest.mark.parametrize("value", ["return {}", None])
async def test_a_key_that_somebody_changes_or_removes_stays_so(value: str | None) -> None:
    """What the pack has written is not put back over what others do later; each text of theirs is reported once."""
    world = await kept()
    await change(world, {HEALTH: value})
    await change(world, {"url": "https://argocd.example.com"})
    assert (await data_of(world)).get(HEALTH) == value
    assert [reason for _, reason, _ in await world.events()] == ["KeyNotOurs"]


async def test_a_key_that_is_still_ours_follows_the_pack() -> None:
    """A new version of the pack, or a changed param, writes the new text."""
    world = await kept()
    newer = {**KEYS, HEALTH: "-- newer\nreturn {}\n"}
    world.use(shipped(PACK), modes={PACK: Mode.ENFORCE}, params={PACK: {"keys": newer}})
    await world.settle()
    assert await data_of(world) == newer


async def test_a_change_between_looking_and_acting_is_respected() -> None:
    """The live ConfigMap decides, not the one that was seen."""
    world = enforcing()
    await world.create(argocd_cm())
    world.engine.faults.add(InjectedFault(500, verb="patch", kind="ConfigMap"))
    await world.round()
    await world.cluster.patch(await world.cluster.discover(CONFIG_MAP), "argocd", "argocd-cm", {"data": {HEALTH: "theirs"}})
    await world.settle(60)
    assert await data_of(world) == {**KEYS, HEALTH: "theirs"}


@pytest.mark.parametrize("config_map", [argocd_cm(name="argocd-rbac-cm"), argocd_cm(namespace="other")])
async def test_other_config_maps_are_left_alone(config_map: Object) -> None:
    """Only argocd-cm of Argo CD's own namespace is meant."""
    world = enforcing()
    await world.create(config_map)
    await world.settle()
    assert world.writes == []


async def test_another_namespace_can_be_named() -> None:
    """As OpenShift GitOps has it."""
    world = enforcing(argocdNamespace="openshift-gitops")
    await world.create(argocd_cm(namespace="openshift-gitops"))
    await world.settle()
    assert names(await world.all(CONFIG_MAP)) == ["argocd-cm"]
    assert (await world.get(CONFIG_MAP, "argocd-cm", "openshift-gitops"))["data"] == KEYS


async def test_the_oldest_default_project_names_the_namespace() -> None:
    """The ConfigMap of the Argo CD that was there first is kept, wherever that is."""
    world = enforcing()
    await world.create(argocd_cm(namespace="openshift-gitops"), named(PROJECT, "default", "openshift-gitops"))
    await world.settle(10)
    await world.create(argocd_cm(namespace="argocd"), named(PROJECT, "default", "argocd"))
    await world.settle(60)
    kept_in = [await world.get(CONFIG_MAP, "argocd-cm", namespace) for namespace in ("openshift-gitops", "argocd")]
    assert [each.get("data", {}) for each in kept_in] == [KEYS, {}]


async def test_a_restart_writes_nothing() -> None:
    """Neither over kept keys nor over those of somebody else."""
    world = await kept({HEALTH: "return {}"})
    before = len(world.writes)
    world.restart()
    await world.settle(600, step=60)
    assert world.writes[before:] == []


async def test_a_config_map_created_anew_is_filled_anew() -> None:
    """An Argo CD that is installed again has nobody's keys."""
    world = await kept({HEALTH: "return {}"})
    await world.delete(CONFIG_MAP, "argocd-cm", "argocd")
    await world.create(argocd_cm())
    await world.settle()
    assert await data_of(world) == KEYS


@pytest.mark.parametrize("mode", [Mode.AUDIT, Mode.OFF])
async def test_audit_and_off_write_nothing(mode: Mode) -> None:
    """Audit says which keys would be written."""
    world = World(shipped(PACK), modes={PACK: mode})
    await world.create(argocd_cm({HEALTH: "return {}"}))
    await world.settle()
    assert world.writes == []
    assert any("resource.customLabels" in line for act in world.seen.acts for line in act.diff) == (mode is Mode.AUDIT)


async def played(fault: InjectedFault | None) -> tuple[Any, int]:
    world = enforcing()
    await world.create(argocd_cm({HEALTH: "return {}"}))
    if fault is not None:
        world.engine.faults.add(fault)
    await world.settle(10)
    found = await world.get(CONFIG_MAP, "argocd-cm", "argocd")
    return (found["data"], found["metadata"]["annotations"], await world.events()), world.crashes


@pytest.mark.parametrize("effect", [Effect.CRASH_BEFORE, Effect.CRASH_AFTER])
async def test_a_crash_at_any_call_neither_loses_nor_doubles(effect: Effect) -> None:
    """Whichever call the engine dies before or after: the same keys, and one Event."""
    expected, _ = await played(None)
    for call in itertools.count():
        found, crashes = await played(InjectedFault(effect, after=call))
        if not crashes:
            break
        assert found == expected, f"{effect} at call {call}"
    assert call > len(KEYS)
