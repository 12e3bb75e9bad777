"""examples/packs: each pack on a real kube-apiserver, applied and granted as its README says; how fast each reacts is printed.

The packs are as they stand there but for their times: what must hold for minutes or a day holds for a second.
"""

from __future__ import annotations

import json
import re
import time
import urllib.error
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stdout
from http import HTTPStatus
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from engine.cli.main import run_command
from engine.model.objects import Object, annotations_of, dig, labels_of
from engine.packs.crd import custom_resource_definition
from tests.chaos.stage import prepare
from tests.cluster.conftest import RULE_PACKS
from tests.controlplane import owners
from tests.controlplane.gobuild import MissingProgram, Say
from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import eventually, now
from tests.e2e.engine import Engine
from tests.served import Served
from tests.world import RULES

PACKS = RULES.parent / "examples" / "packs"
SHORT = 1.0
"""Seconds of each `for` and throttle, in place of those of the packs."""
CORE, APPS = "/api/v1/namespaces/gallery", "/apis/apps/v1/namespaces/gallery"
CLAIM, WEB, NODE = f"{CORE}/persistentvolumeclaims", f"{APPS}/deployments/web", "/api/v1/nodes"
RELEASES = "/apis/helm.toolkit.fluxcd.io/v2/namespaces/gallery/helmreleases"
RUNS = "/apis/tekton.dev/v1/namespaces/gallery/pipelineruns"
Change = tuple[str, str, Mapping[str, Any] | Callable[[], Mapping[str, Any]]]


class Reaction(NamedTuple):
    """What somebody does, and what becomes of the object at a path: whether it is so, from the object before and now.

    `held` is for how long the pack waits on purpose, in seconds.
    """

    what: str
    changes: tuple[Change, ...]
    path: str
    holds: Callable[[Object, Object], object]
    held: float = 0.0


def made(name: str, **fields: Any) -> dict[str, Any]:
    """An object to be created; `labels` and `annotations` are its own."""
    return {"metadata": {"name": name, **{key: fields.pop(key) for key in ("labels", "annotations") if key in fields}}, **fields}


def deployment(name: str, **metadata: Any) -> dict[str, Any]:
    """A Deployment that uses a ConfigMap and a Secret."""
    used = {"envFrom": [{"configMapRef": {"name": "settings"}}],
            "env": [{"name": "P", "valueFrom": {"secretKeyRef": {"name": "password", "key": "p"}}}]}  # fmt: skip
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": "main", "image": "example.com/web", **used}]},
    }
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": name}}, "template": template}
    return made(name, spec=spec, **metadata)


def content(obj: Object) -> str:
    """The annotation of its pods that restarts them."""
    return str(dig(obj, ("spec", "template", "metadata", "annotations", "example.com/content"), ""))


def deadlock(status: str) -> Change:
    """What the node problem detector says."""
    return "PATCH", f"{NODE}/worker/status", {"status": {"conditions": [{"type": "KernelDeadlock", "status": status}]}}


def told(reason: str) -> Callable[[Object, Object], bool]:
    """Whether there is an Event with that reason."""
    return lambda _, events: any(event["reason"] == reason for event in events["items"])


def succeeded() -> dict[str, Any]:
    """The status of a PipelineRun that has ended now."""
    return {"status": {"completionTime": now(), "conditions": [{"type": "Succeeded", "status": "True"}]}}


RELOAD = {"example.com/reload": "true"}
GALLERY = {
    "reloader": (
        Reaction("its first look restarts nothing", (
            ("POST", f"{CORE}/configmaps", made("settings", labels=RELOAD, data={"color": "red"})),
            ("POST", f"{CORE}/secrets", made("password", labels=RELOAD, data={"p": "b25l"})),
            ("POST", f"{APPS}/deployments", deployment("web", labels=RELOAD)),
        ), WEB, lambda _, web: "example.com/content" in annotations_of(web) and content(web) == ""),
        Reaction("a ConfigMap restarts the pods", (("PATCH", f"{CORE}/configmaps/settings", {"data": {"color": "blue"}}),),
                 WEB, lambda _, web: content(web) != ""),
        Reaction("a Secret restarts the pods", (("PATCH", f"{CORE}/secrets/password", {"data": {"p": "dHdv"}}),),
                 WEB, lambda before, web: content(web) != content(before)),
    ),
    "janitor": (
        Reaction("a Deployment goes", (
            ("POST", f"{APPS}/deployments", deployment("preview")),
            ("PATCH", f"{APPS}/deployments/preview", {"metadata": {"annotations": {"example.com/ttl": "0s"}}}),
        ), f"{APPS}/deployments/preview", lambda _, preview: not preview),
        Reaction("a time that cannot be read is told", (
            ("POST", f"{APPS}/deployments", deployment("other", annotations={"example.com/ttl": "1 week"})),
        ), f"{CORE}/events", told("InvalidTtl")),
    ),
    "node-quarantine": (
        Reaction("a Node is cordoned", (("POST", NODE, made("worker")), deadlock("True")), f"{NODE}/worker",
                 lambda _, node: node["spec"].get("unschedulable") is True, SHORT),
        Reaction("and uncordoned", (deadlock("False"),), f"{NODE}/worker",
                 lambda _, node: "unschedulable" not in node["spec"] and not annotations_of(node).get("example.com/quarantined"),
                 SHORT),
        Reaction("a second time too", (deadlock("True"),), f"{NODE}/worker",
                 lambda _, node: node["spec"].get("unschedulable") is True, SHORT),
    ),
    "namespace-setup": (
        Reaction("a Namespace gets its three objects", (
            ("POST", "/api/v1/namespaces", made("shop", labels={"example.com/team": "web"})),
        ), "/apis/networking.k8s.io/v1/namespaces/shop/networkpolicies/team", lambda _, policy: policy),
        Reaction("what is deleted comes back", (("DELETE", "/api/v1/namespaces/shop/resourcequotas/team", {}),),
                 "/api/v1/namespaces/shop/resourcequotas/team",
                 lambda before, quota: quota and quota["metadata"]["uid"] != before["metadata"]["uid"]),
    ),
    "secret-sync": (
        Reaction("a Secret is copied into a namespace with the label", (
            ("POST", "/api/v1/namespaces", made("shared-secrets")),
            ("POST", "/api/v1/namespaces", made("copies", labels={"example.com/sync": "registry"})),
            ("POST", "/api/v1/namespaces/shared-secrets/secrets", made(
                "pull", labels={"example.com/sync": "registry"}, type="Opaque", data={"token": "b25l"})),
        ), "/api/v1/namespaces/copies/secrets/pull", lambda _, copy: copy),
        Reaction("the copy goes with the label", (
            ("PATCH", "/api/v1/namespaces/copies", {"metadata": {"labels": {"example.com/sync": None}}}),
        ), "/api/v1/namespaces/copies/secrets/pull", lambda _, copy: not copy),
    ),
    "pvc-watch": (
        Reaction("a claim that is pending is told", (
            ("POST", CLAIM, made("data", spec={"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}})),
        ), f"{CORE}/events", told("StillPending"), SHORT),
        Reaction("one that no pod uses is marked", (("PATCH", f"{CLAIM}/data/status", {"status": {"phase": "Bound"}}),),
                 f"{CLAIM}/data", lambda _, claim: "example.com/unused" in labels_of(claim), SHORT),
        Reaction("until a pod does", (("POST", f"{CORE}/pods", made("user", spec={
            "containers": [{"name": "main", "image": "example.com/web"}],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
        })),), f"{CLAIM}/data", lambda _, claim: "example.com/unused" not in labels_of(claim)),
    ),
    "flux-after-tekton": (
        Reaction("a HelmRelease is reconciled", (
            ("POST", RELEASES, {"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease", **made(
                "web", spec={"interval": "1h", "chartRef": {"kind": "OCIRepository", "name": "web"}})}),
            ("POST", RUNS, {"apiVersion": "tekton.dev/v1", "kind": "PipelineRun", **made(
                "build", annotations={"example.com/reconcile": "HelmRelease/web"}, spec={"pipelineRef": {"name": "build"}})}),
            ("PATCH", f"{RUNS}/build/status", succeeded),
        ), f"{RELEASES}/web", lambda _, web: "reconcile.fluxcd.io/requestedAt" in annotations_of(web)),
    ),
    "scale-by-count": (
        Reaction("tasks scale it up", (
            ("POST", f"{APPS}/deployments", deployment("worker", labels={"example.com/scale-by-tasks": ""},
                                                      annotations={"example.com/scale-limits": "{tasksEach: 1}"})),
            *(("POST", f"{CORE}/configmaps", made(f"task-{number}", labels={"example.com/task-for": "worker"}))
              for number in range(3)),
        ), f"{APPS}/deployments/worker", lambda _, worker: worker["spec"]["replicas"] == 3, SHORT),
        Reaction("fewer scale it down", (("DELETE", f"{CORE}/configmaps/task-0", {}),),
                 f"{APPS}/deployments/worker", lambda _, worker: worker["spec"]["replicas"] == 2),
    ),
}  # fmt: skip


class Everywhere(Engine):
    """An operator for all namespaces."""

    def command(self, served: Served, kubeconfig: Path | None = None) -> list[str]:
        """What starts one process of it."""
        return [option for option in super().command(served, kubeconfig) if not option.startswith("--namespace=")]


@pytest.fixture(scope="module")
def engine(own_plane: ControlPlane) -> Iterator[Engine]:
    """An operator that has the packs in force, each with the rights that `rulepack rbac` writes for it."""
    try:
        own_plane.define(custom_resource_definition(), *owners.delivery())
    except MissingProgram as missing:
        pytest.exit(str(missing), returncode=pytest.ExitCode.INTERNAL_ERROR)
    prepare(own_plane, "gallery")
    own_plane.ensure(f"{CORE}/serviceaccounts", made("default"))
    with Everywhere(own_plane, "gallery") as engine:
        for name in GALLERY:
            grant(own_plane, name, engine.own)
            own_plane.request("POST", RULE_PACKS.format(engine.own), quick(name))
        engine.start()
        engine.ready()
        yield engine


def quick(name: str) -> Object:
    """The pack with short times."""
    text = (PACKS / name / "pack.yaml").read_text()
    pack: Object = yaml.safe_load(re.sub(r"\b(for|every): \d+[smh]\b", rf"\1: {SHORT:g}s", text))
    return pack


def find(plane: ControlPlane, path: str) -> Object:
    """What is at a path, empty where nothing is."""
    try:
        return plane.request("GET", path)
    except urllib.error.HTTPError as error:
        if error.code != HTTPStatus.NOT_FOUND:
            raise
        return {}


@pytest.mark.parametrize("name", GALLERY)
def test_a_pack_of_the_gallery_reacts(name: str, own_plane: ControlPlane, engine: Engine, say: Say) -> None:
    """Each in turn, once the pack is in force; the time is from the last change to the effect."""
    plane = own_plane
    eventually(lambda: ready(plane, name), f"{name} in force")
    for what, changes, path, holds, held in GALLERY[name]:
        time.sleep(2 * SHORT + 0.2)  # its throttle, and that of what follows from its own write
        before = find(plane, path)
        for method, where, body in changes:
            began = time.monotonic()
            plane.request(method, where, body() if callable(body) else body)
        while not holds(before, find(plane, path)):
            assert time.monotonic() < began + 30, f"{name}: {what}: {json.dumps(find(plane, path))}"
            time.sleep(0.005)
        took = time.monotonic() - began - held
        say(f"{name}: {what}: {took * 1000:.0f} ms" + (f" after the {held:g} s that it waits" if held else ""))


def test_a_restart_changes_nothing(own_plane: ControlPlane, engine: Engine) -> None:
    """What all packs have done is done: no pods restart because an operator has to read all ConfigMaps and Secrets anew."""
    eventually(engine.idle, "engine with nothing left to do")
    assert content(find(own_plane, WEB)) != ""
    before = len(engine.writes())

    engine.kill()
    engine.start()
    engine.ready()
    eventually(engine.idle, "engine with nothing left to do")
    time.sleep(2 * SHORT + 0.2)

    told_anew = f"create {CORE}/events?"  # an incident that lasts: the Event is there, and the server refuses a second one
    writes = [write for write in engine.writes()[before:] if f"/{engine.own}/" not in write]
    assert [write for write in writes if not write.startswith(told_anew)] == []


def grant(plane: ControlPlane, name: str, namespace: str) -> None:
    """Apply what `rulepack rbac` writes for an operator in a namespace."""
    with redirect_stdout(StringIO()) as written:
        assert run_command(["rbac", str(PACKS / name), "--operator-namespace", namespace]) == 0
    for document in yaml.safe_load_all(written.getvalue()):
        plane.ensure(f"/apis/{document['apiVersion']}/{document['kind'].lower()}s", document)


def ready(plane: ControlPlane, name: str) -> bool:
    """Whether the pack's RulePack says so."""
    conditions = find(plane, f"{RULE_PACKS.format('gallery-rulepack')}/{name}").get("status", {}).get("conditions", [])
    return any((each["type"], each["status"]) == ("Ready", "True") for each in conditions)
