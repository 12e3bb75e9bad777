"""`apply` with `prune` on a real kube-apiserver, over restarts and takeovers, by the pack secret-sync."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from engine.model.objects import Kind, Object, metadata
from engine.packs.crd import custom_resource_definition
from tests.chaos.layout import prepare
from tests.cluster.conftest import RULE_PACKS
from tests.cluster.test_continuity import leads
from tests.cluster.test_gallery import Everywhere, grant, quick
from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import Cluster, eventually
from tests.e2e.engine import Engine, roles

SECRET, EVENT = Kind("v1", "Secret"), Kind("v1", "Event")
FROM = "shared-secrets"
CLUSTER_ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
PARAMS = "/api/v1/namespaces/{}/configmaps/rulepack-params"
QUIET = 8.0
"""Seconds in which something would have been removed: each removal of these tests takes less than one."""


@pytest.fixture(scope="module")
def plane(own_plane: ControlPlane) -> ControlPlane:
    own_plane.define(custom_resource_definition())
    prepare(own_plane, FROM)
    return own_plane


@pytest.fixture
def cluster(plane: ControlPlane) -> Cluster:
    return Cluster(plane, FROM)


@pytest.fixture
def engine(plane: ControlPlane) -> Iterator[Engine]:
    """An operator with the pack and its rights, that is not started."""
    with Everywhere(plane, FROM, "prune-rulepack") as engine:
        grant(plane, "secret-sync", engine.own)
        rights(engine, plane)
        plane.ensure(RULE_PACKS.format(engine.own), quick("secret-sync"))
        yield engine


def source(name: str, group: str) -> Object:
    """A Secret that is to be copied."""
    return {
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "data": {"token": "b25l"},
        "metadata": {"name": name, "namespace": FROM, "labels": {"example.com/sync": group}},
    }  # fmt: skip


def spaces(cluster: Cluster, group: str, names: Sequence[str]) -> None:
    """Create namespaces with the label."""
    for name in names:
        cluster.plane.request("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": {"example.com/sync": group}}})


def relabel(cluster: Cluster, name: str, group: str | None) -> None:
    """Give a namespace another label, or none."""
    cluster.plane.request("PATCH", f"/api/v1/namespaces/{name}", {"metadata": {"labels": {"example.com/sync": group}}})


def copies(cluster: Cluster, name: str) -> list[str]:
    """The namespaces with a copy of a Secret."""
    found = cluster.plane.request("GET", f"/api/v1/secrets?fieldSelector=metadata.name%3D{name}")["items"]
    return sorted(metadata(obj)["namespace"] for obj in found if metadata(obj)["namespace"] != FROM)


def up(engine: Engine) -> None:
    """Start the operator, and wait until it knows the cluster."""
    engine.start()
    engine.ready()


def stay(cluster: Cluster, name: str, expected: list[str]) -> None:
    """Have nothing removed for as long as it would take many times over."""
    end = time.monotonic() + QUIET
    while time.monotonic() < end:
        assert copies(cluster, name) == expected
        time.sleep(0.5)


def test_copies_follow_over_restarts_and_takeovers(cluster: Cluster, engine: Engine) -> None:
    """What changes while the operator is down, or between two leaders, is made up for; a restart writes nothing."""
    spaces(cluster, "life", ["life-a", "life-b", "life-c"])
    cluster.create(source("life", "life"), source("other", "life"))
    first = engine.launch("first")
    eventually(lambda: copies(cluster, "life") == ["life-a", "life-b", "life-c"], "copies")
    assert cluster.get(SECRET, "life", "life-a")["data"] == {"token": "b25l"}

    cluster.patch(SECRET, "life", {"data": {"token": "bWluZQ=="}}, "life-a")
    eventually(lambda: cluster.get(SECRET, "life", "life-a")["data"] == {"token": "b25l"}, "copy that is put back")
    cluster.delete(SECRET, "life", "life-b")
    eventually(lambda: copies(cluster, "life") == ["life-a", "life-b", "life-c"], "copy that is made again")

    eventually(lambda: leads(first), "leader")
    second = engine.launch("second")
    engine.processes.kill("first")
    relabel(cluster, "life-b", None)
    cluster.delete(SECRET, "other", FROM)
    eventually(lambda: leads(second), "second leader")
    eventually(lambda: copies(cluster, "life") == ["life-a", "life-c"], "copy that goes with the label")
    eventually(lambda: copies(cluster, "other") == [], "copies that go with their source")

    engine.processes.kill("second")
    before = len(engine.writes())
    up(engine)
    eventually(engine.idle, "engine with nothing left to do")
    assert [write for write in engine.writes()[before:] if "/secrets" in write] == []

    engine.kill()
    cluster.delete(SECRET, "life", FROM)
    up(engine)
    eventually(lambda: copies(cluster, "life") == [], "copies whose source went while the operator was down")


def rights(engine: Engine, plane: ControlPlane, *, without: tuple[str, str] = ("", "")) -> None:
    """Give the operator the rights that it has by itself and those of the pack, but for one verb on one resource."""
    (own,) = [role["rules"] for role in roles() if role["kind"] == "ClusterRole"]
    verbs = {"secrets": ["get", "list", "watch", "create", "patch", "delete"], "namespaces": ["list", "watch"]}
    pack = [{"apiGroups": [""], "resources": [name], "verbs": each} for name, each in verbs.items()]
    for name, rules in ((engine.own, own), ("rulepack:secret-sync", pack)):
        role = plane.request("GET", f"{CLUSTER_ROLES}/{name}")
        left = [{**rule, "verbs": [verb for verb in rule["verbs"] if (*rule["resources"], verb) != without]} for rule in rules]
        plane.request("PUT", f"{CLUSTER_ROLES}/{name}", {**role, "rules": left})


@pytest.mark.parametrize("right", [("namespaces", "list"), ("namespaces", "watch"), ("secrets", "list"), ("secrets", "watch")])
def test_a_lost_right(right: tuple[str, str], cluster: Cluster, engine: Engine) -> None:
    """Without one of its rights, a restarted operator removes nothing, whatever is gone; with it, it makes up for it."""
    name = "-".join(right)
    spaces(cluster, name, [f"{name}-a", f"{name}-b"])
    cluster.create(source(name, name))
    up(engine)
    eventually(lambda: len(copies(cluster, name)) == 2, "copies")
    engine.kill()

    rights(engine, cluster.plane, without=right)
    relabel(cluster, f"{name}-b", None)
    engine.start()
    stay(cluster, name, [f"{name}-a", f"{name}-b"])
    cluster.delete(SECRET, name, FROM)
    stay(cluster, name, [f"{name}-a", f"{name}-b"])

    rights(engine, cluster.plane)
    eventually(lambda: copies(cluster, name) == [], "copies that are gone", 120)


def test_a_fleet_that_is_relabelled_at_once(cluster: Cluster, engine: Engine) -> None:
    """More than half is to go: nothing does, over a restart too, and an Event says what to do. Then it does."""
    names = [f"fleet-{number}" for number in range(12)]
    spaces(cluster, "fleet", names)
    cluster.create(source("fleet", "fleet"))
    up(engine)
    eventually(lambda: copies(cluster, "fleet") == sorted(names), "copies")
    engine.kill()
    for name in names:
        relabel(cluster, name, None)
    up(engine)
    stay(cluster, "fleet", sorted(names))
    (message,) = {event["message"] for event in cluster.all(EVENT) if event["reason"] == "RemovalSuspended"}
    assert "rule copy would remove 12 of the 12 objects it has generated, and removes none of them" in message
    assert f"kubectl annotate configmap rulepack-params -n {engine.own} " in message

    engine.params({})
    resume(cluster, engine, "it is right")
    eventually(lambda: copies(cluster, "fleet") == [], "copies that somebody has confirmed", 120)


def resume(cluster: Cluster, engine: Engine, word: str) -> None:
    """Have somebody say that what is suspended goes on."""
    annotations: dict[str, Any] = {"metadata": {"annotations": {"rules.mlops.dev/resume": word}}}
    cluster.plane.request("PATCH", PARAMS.format(engine.own), annotations)


def ready(cluster: Cluster, engine: Engine) -> tuple[str, str]:
    """Reason and message of the condition Ready of the pack."""
    status = cluster.plane.request("GET", f"{RULE_PACKS.format(engine.own)}/secret-sync").get("status", {})
    found = [each for each in status.get("conditions", ()) if each["type"] == "Ready"]
    return (found[0]["reason"], found[0]["message"]) if found else ("", "")


def test_a_mistake_that_is_undone_and_made_again(cluster: Cluster, engine: Engine) -> None:
    """Undone, it is suspended no more; a resume then says nothing about the next mistake, of which nothing more is removed."""
    names = [f"again-{number}" for number in range(12)]
    spaces(cluster, "again", names)
    cluster.create(source("again", "again"))
    engine.params({})
    up(engine)
    eventually(lambda: copies(cluster, "again") == sorted(names), "copies")
    engine.kill()
    for name in names:
        relabel(cluster, name, None)
    up(engine)
    eventually(lambda: ready(cluster, engine)[0] == "Suspended", "status of a removal that is held back", 60)
    held = "rule copy would remove 12 of the 12 objects it has generated, and removes none of them; to go on: kubectl annotate"
    assert ready(cluster, engine)[1].startswith(held)

    for name in names:
        relabel(cluster, name, "again")
    eventually(lambda: ready(cluster, engine)[0] == "InForce", "status that ends by itself", 60)
    resume(cluster, engine, "the labels are back")
    stay(cluster, "again", sorted(names))
    for name in names:
        relabel(cluster, name, None)
    eventually(lambda: ready(cluster, engine)[0] == "Suspended", "second suspension", 60)
    left = copies(cluster, "again")
    assert len(left) >= 6
    stay(cluster, "again", left)
    cluster.delete(SECRET, "again", FROM)
    resume(cluster, engine, "now they may go")
    eventually(lambda: copies(cluster, "again") == [], "copies that somebody has confirmed", 120)


def test_off_and_gone(cluster: Cluster, engine: Engine) -> None:
    """A pack that is Off, and one that is deleted, keep what they have generated, and the log says so."""
    spaces(cluster, "off", ["off-a"])
    cluster.create(source("off", "off"))
    up(engine)
    eventually(lambda: copies(cluster, "off") == ["off-a"], "copy")
    engine.flags({"secret-sync": "Off"})
    kept = "rule secret-sync/copy is not in force any more; what it has generated is kept: kubectl get Secret -A -l "
    eventually(lambda: kept in engine.log(), "word that it is kept")
    cluster.delete(SECRET, "off", FROM)
    stay(cluster, "off", ["off-a"])
    cluster.plane.request("DELETE", f"{RULE_PACKS.format(engine.own)}/secret-sync")
    stay(cluster, "off", ["off-a"])
    engine.flags({"secret-sync": "Enforce"})
    cluster.plane.request("POST", RULE_PACKS.format(engine.own), quick("secret-sync"))
    eventually(lambda: copies(cluster, "off") == [], "copy that is gone", 120)


def test_a_rule_and_a_pack_that_are_renamed_keep_what_they_have_made(cluster: Cluster, engine: Engine) -> None:
    """With the old names under previousNames, over a restart: it is marked anew, and what has no reason any more is removed."""
    plane, path = cluster.plane, RULE_PACKS.format(engine.own)
    spaces(cluster, "renamed", ["renamed-a", "renamed-b"])
    cluster.create(source("renamed", "renamed"))
    up(engine)
    eventually(lambda: copies(cluster, "renamed") == ["renamed-a", "renamed-b"], "copies")
    uid = metadata(cluster.get(SECRET, "renamed", "renamed-a"))["uid"]
    engine.kill()

    pack = quick("secret-sync")
    pack["metadata"]["name"], pack["spec"]["previousNames"] = "secret-spread", ["secret-sync"]
    pack["spec"]["rules"][0] |= {"name": "spread", "previousNames": ["copy"]}
    plane.request("DELETE", f"{path}/secret-sync")
    plane.request("POST", path, pack)
    relabel(cluster, "renamed-b", None)
    up(engine)
    eventually(lambda: copies(cluster, "renamed") == ["renamed-a"], "copy that goes with the label", 60)

    def marks() -> tuple[str, ...]:
        labels = metadata(cluster.get(SECRET, "renamed", "renamed-a"))["labels"]
        return labels["rules.mlops.dev/generated-by"], labels["rules.mlops.dev/generated-rule"]

    eventually(lambda: marks() == ("secret-spread", "spread"), "copy with new marks", 60)
    assert metadata(cluster.get(SECRET, "renamed", "renamed-a"))["uid"] == uid
    plane.request("DELETE", f"{path}/secret-spread")


def test_a_renamed_pack_goes_on_as_soon_as_the_earlier_one_is_deleted(cluster: Cluster, engine: Engine) -> None:
    """As the warning says: the new one is applied first. Nothing else has to change for it to go on."""
    plane, path = cluster.plane, RULE_PACKS.format(engine.own)
    spaces(cluster, "second", ["second-a", "second-b"])
    cluster.create(source("second", "second"))
    up(engine)
    eventually(lambda: copies(cluster, "second") == ["second-a", "second-b"], "copies")
    pack = quick("secret-sync")
    pack["metadata"]["name"], pack["spec"]["previousNames"] = "secret-spread", ["secret-sync"]
    plane.request("POST", path, pack)
    said = "that name is among previousNames here, and still in use: delete pack secret-sync, then this rule goes on with it"
    eventually(lambda: any(said in event["message"] for event in cluster.all(EVENT)), "Event that says what to delete")
    plane.request("DELETE", f"{path}/secret-sync")

    def packs() -> list[str]:
        found = (cluster.get(SECRET, "second", f"second-{name}") for name in "ab")
        return [metadata(obj)["labels"]["rules.mlops.dev/generated-by"] for obj in found]

    eventually(lambda: packs() == ["secret-spread"] * 2, "copies with new marks", 60)
    plane.request("DELETE", f"{path}/secret-spread")


def test_what_somebody_takes_the_label_off_is_theirs_also_where_the_rule_adopts(cluster: Cluster, engine: Engine) -> None:
    """It is neither changed nor removed, also after a restart."""
    pack = quick("secret-sync")
    pack["spec"]["rules"][0]["actions"][0]["apply"]["adopt"] = True
    cluster.plane.request("PATCH", f"{RULE_PACKS.format(engine.own)}/secret-sync", {"spec": pack["spec"]})
    spaces(cluster, "theirs", ["theirs-a", "theirs-b"])
    cluster.create(source("theirs", "theirs"))
    up(engine)
    eventually(lambda: copies(cluster, "theirs") == ["theirs-a", "theirs-b"], "copies")
    off = {"metadata": {"labels": {"rules.mlops.dev/generated-by": None}}, "data": {"token": "bWluZQ=="}}
    cluster.patch(SECRET, "theirs", off, "theirs-b")
    said = "label rules.mlops.dev/generated-by has been taken off it, so it is neither changed nor removed"
    eventually(lambda: any(said in event["message"] for event in cluster.all(EVENT)), "Event that says why")
    engine.kill()
    up(engine)
    eventually(engine.idle, "engine with nothing left to do")
    cluster.delete(SECRET, "theirs", FROM)
    eventually(lambda: copies(cluster, "theirs") == ["theirs-b"], "copy that goes with its source")
    stay(cluster, "theirs", ["theirs-b"])
    assert cluster.get(SECRET, "theirs", "theirs-b")["data"] == {"token": "bWluZQ=="}
