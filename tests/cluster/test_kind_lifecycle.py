"""The kind comes to a cluster on which 0.1.0 was, is shared by shards, and goes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.operator.shards import bucket
from engine.packs.crd import custom_resource_definition
from tests.chaos.layout import prepare
from tests.cluster.conftest import RulePacks
from tests.cluster.test_kind_kubectl import misspelt, pack
from tests.controlplane.kubectl import Kubectl
from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import eventually
from tests.e2e.engine import Engine

ONCE = pack("in-config-map").replace("      actions", "      oncePer: object.metadata.uid\n      actions")
DEFINITION = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/rulepacks.rules.mlops.dev"


@pytest.fixture
def before(own_plane: ControlPlane, kubectl_path: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[RulePacks]:
    """An engine as 0.1.0 left it, with a pack in a ConfigMap, and a flag; the first test's cluster has no kind RulePack."""
    shop = f"shop-{request.session.items.index(request.node)}"
    prepare(own_plane, shop)
    with Engine(own_plane, shop) as engine:
        engine.grant("", "configmaps")
        engine.flags({"sync-waves": "Audit"})
        kubectl = Kubectl(kubectl_path, own_plane, engine.own, tmp_path)
        kubectl("create", "configmap", "packs", f"--from-literal=pack.yaml={ONCE}")
        kubectl("label", "configmap", "packs", "rules.mlops.dev/rule-pack=true")
        engine.start()
        engine.ready()
        yield RulePacks(own_plane, engine, kubectl, shop)


def marked(rulepacks: RulePacks, name: str) -> dict[str, Any]:
    """The metadata of a ConfigMap, once the pack in a ConfigMap has marked it."""

    def found() -> Any:
        meta = rulepacks.plane.request("GET", f"/api/v1/namespaces/{rulepacks.watched}/configmaps/{name}")["metadata"]
        return "example.com/in-config-map" in meta.get("annotations", {}) and meta

    meta: dict[str, Any] = eventually(found, f"mark on {name}")
    return meta


def marks(rulepacks: RulePacks, name: str) -> Any:
    """The annotations of a ConfigMap, once it has any."""
    path = f"/api/v1/namespaces/{rulepacks.watched}/configmaps/{name}"
    return eventually(lambda: rulepacks.plane.request("GET", path)["metadata"].get("annotations"), f"mark on {name}")


def test_what_0_1_0_left_is_kept_and_an_export_brings_rulepacks_back(before: RulePacks) -> None:
    """Nothing is done twice by an upgrade, nor after the kind was deleted and came back."""
    kubectl, engine = before.kubectl, before.engine
    kubectl("create", "configmap", "one", "-n", before.watched, "--from-literal=in-config-map=x")
    first = marked(before, "one")
    engine.stop()

    before.plane.define(custom_resource_definition())
    engine.start()
    engine.ready()
    reference = eventually(lambda: before.find("in-config-map").get("status") and before.find("in-config-map"), "its RulePack")
    flag = eventually(lambda: before.find("sync-waves").get("status"), "status of a shipped pack")
    kubectl("apply", "-f", "-", given=pack("own"))
    kubectl("wait", "--for=condition=Ready", "rp/own", "--timeout=60s")
    kubectl.environment["PATH"] = f"{Path(sys.executable).parent}:{kubectl.environment['PATH']}"
    exported = kubectl.plain("rulepack", "export", "-n", engine.own)

    engine.stop()
    before.plane.request("DELETE", DEFINITION)
    gone = eventually(lambda: kubectl.run("get", "rp").returncode, "deletion of the kind")
    before.plane.define(custom_resource_definition())
    engine.start()
    engine.ready()
    kubectl("apply", "-f", "-", given=exported)
    kubectl("wait", "--for=condition=Ready", "rp/own", "--timeout=60s")
    kubectl("create", "configmap", "two", "-n", before.watched, "--from-literal=in-config-map=x")
    marked(before, "two")

    assert reference["spec"] == {"configMap": "packs"}
    assert flag["mode"] == "Audit"
    assert gone == 1
    assert marked(before, "one")["resourceVersion"] == first["resourceVersion"]


def test_after_a_restart_a_config_map_does_not_replace_a_refused_rulepack(before: RulePacks) -> None:
    """Both have a pack of one name; the ConfigMap says why its own does nothing."""
    kubectl, engine = before.kubectl, before.engine
    engine.stop()
    before.plane.define(custom_resource_definition())
    kubectl("delete", "rp", "in-config-map", "--ignore-not-found")  # the reference, where the kind was served before
    kubectl("apply", "-f", "-", given=misspelt("in-config-map"))
    kubectl("apply", "-f", "-", given=pack("own"))
    engine.start()
    engine.ready()
    kubectl("create", "configmap", "one", "-n", before.watched, "--from-literal=in-config-map=x", "--from-literal=own=x")
    kubectl("wait", "--for=jsonpath={.status.fired}=1", "rp/own", "--timeout=60s")
    ready = before.condition("in-config-map", "Ready")
    loser = kubectl("get", "configmap", "packs", "-o", "jsonpath={.metadata.annotations}")
    annotations = kubectl("get", "configmap", "one", "-n", before.watched, "-o", "jsonpath={.metadata.annotations}")

    assert ready == ("False", "Invalid", "it is not accepted; nothing is in force")
    assert f"rulepack/{engine.own}/in-config-map has the name 'in-config-map', and is refused" in loser
    assert "example.com/own" in annotations
    assert "example.com/in-config-map" not in annotations


def test_a_pack_stays_disabled_when_the_kind_is_deleted_under_the_engine(before: RulePacks) -> None:
    """As OLM v1 does on uninstalling, with the RulePacks first: a pack must not act since what disabled it is gone."""
    kubectl, engine = before.kubectl, before.engine
    before.plane.define(custom_resource_definition())
    kubectl("create", "configmap", "others", f"--from-literal=pack.yaml={pack('other')}")
    kubectl("label", "configmap", "others", "rules.mlops.dev/rule-pack=true")
    eventually(lambda: before.find("in-config-map").get("status"), "RulePack of the pack in a ConfigMap")
    kubectl("patch", "rp", "in-config-map", "--type=merge", "-p", '{"spec":{"mode":"Disabled"}}')
    kubectl("wait", "--for=jsonpath={.status.mode}=Disabled", "rp/in-config-map", "--timeout=60s")

    before.plane.request("DELETE", DEFINITION)
    eventually(lambda: kubectl.run("get", "rp").returncode, "deletion of the kind")
    gone = f"rulepack/{engine.own}/in-config-map:1:1: it is gone; its mode and params count until there is a RulePack"
    eventually(lambda: gone in engine.whole_log(), "warning of what counts")
    kubectl("create", "configmap", "one", "-n", before.watched, "--from-literal=in-config-map=x", "--from-literal=other=x")
    running = marks(before, "one")
    mode = engine.packs()["in-config-map"]["mode"]
    engine.stop()
    engine.start()
    engine.ready()
    kubectl("create", "configmap", "two", "-n", before.watched, "--from-literal=in-config-map=x", "--from-literal=other=x")

    assert (mode, running) == ("Off", {"example.com/other": "yes"})
    assert marks(before, "two") == {"example.com/other": "yes"}


def test_each_shard_writes_its_own_part_of_a_status(control_plane: ControlPlane, kubectl_path: Path, tmp_path: Path) -> None:
    """Shard 0 writes the sum too; no two write the same field."""
    first, second = (next(f"shared-{n}" for n in range(100) if bucket(f"shared-{n}", 2) == shard) for shard in (0, 1))
    control_plane.define(custom_resource_definition())
    prepare(control_plane, first, second)
    with Engine(control_plane, first) as engine:
        engine.grant("", "configmaps")
        kubectl = Kubectl(kubectl_path, control_plane, engine.own, tmp_path)
        for shard in (0, 1):
            engine.launch(f"shard-{shard}", None, f"--namespace={second}", "--shards=2", f"--shard={shard}")
        kubectl("apply", "-f", "-", given=pack("shared"))
        for namespace in (first, second):
            kubectl("create", "configmap", "one", "-n", namespace, "--from-literal=shared=x")
        kubectl("wait", "--for=jsonpath={.status.fired}=2", "rp/shared", "--timeout=120s")

        found = RulePacks(control_plane, engine, kubectl, first).find("shared")

    parts = {part["shard"]: part["rules"][0] for part in found["status"]["parts"]}
    assert {shard: (rule["fired"], rule["lastObject"]) for shard, rule in parts.items()} == {
        0: (1, f"ConfigMap {first}/one"), 1: (1, f"ConfigMap {second}/one"),
    }  # fmt: skip
    written = {entry["manager"]: entry["fieldsV1"]["f:status"] for entry in found["metadata"]["managedFields"]
               if entry.get("subresource") == "status"}  # fmt: skip
    assert {*written} == {"rulepack", "rulepack-1"}
    assert [*written["rulepack-1"]] == ["f:parts"]
    assert not written["rulepack"]["f:parts"].keys() & written["rulepack-1"]["f:parts"].keys()
