"""Lookups that are followed, on a real kube-apiserver, with the rights of a service account that RBAC grants and takes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engine.model.objects import Kind, Object, annotations_of
from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import CONFIG_MAP, Cluster, eventually
from tests.e2e.engine import Engine
from tests.world import EVENT, named

SECRET, POD = Kind("v1", "Secret"), Kind("v1", "Pod")
PACK = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: follow}
spec:
  watch: {apiVersion: v1, kind: ConfigMap, labelSelector: {role: source}}
  targets:
    - {apiVersion: v1, kind: Secret, verbs: [list, watch]}
    - {apiVersion: v1, kind: ConfigMap, verbs: [list, watch]}
  rules:
    - name: copy
      lookup:
        one: {apiVersion: v1, kind: Secret, name: one}
        team:
          apiVersion: v1
          kind: ConfigMap
          labelSelector: {matchExpressions: [{key: team, operator: Exists}, {key: team, operator: NotIn, values: [web]}]}
      when: lookup.one != null
      actions:
        - annotate: {annotations: {example.com/version: '${lookup.one.metadata.annotations["version"]} ${size(lookup.team)}'}}
"""


ABOUT = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: about}
spec:
  watch: {apiVersion: v1, kind: ConfigMap, labelSelector: {role: told}}
  targets:
    - {apiVersion: v1, kind: Event, verbs: [list]}
  rules:
    - name: count
      lookup:
        told:
          apiVersion: v1
          kind: Event
          labelSelector: {}
          fieldSelector: {involvedObject.uid: '${object.metadata.uid}', reason: Told}
          live: true
      resync: 1s
      actions:
        - annotate: {annotations: {example.com/told: '${lookup.told.map(e, e.message).join(" ")}'}}
"""

ON_NODE = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: on-node}
spec:
  watch: {apiVersion: v1, kind: ConfigMap, labelSelector: {role: node}}
  targets:
    - {apiVersion: v1, kind: Pod, verbs: [list, watch]}
    - {apiVersion: v1, kind: Secret, verbs: [list, watch]}
  rules:
    - name: count
      lookup:
        pods:
          apiVersion: v1
          kind: Pod
          labelSelector: {}
          fieldSelector: 'status.phase!=Failed,spec.nodeName==${object.data.node}'
        tokens: {apiVersion: v1, kind: Secret, labelSelector: {}, fieldSelector: {type: example.com/token}}
      actions:
        - annotate: {annotations: {example.com/pods: '${lookup.pods.map(p, p.metadata.name).join(" ")} ${size(lookup.tokens)}'}}
"""

UNKNOWN = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: unknown}
spec:
  watch: {apiVersion: v1, kind: ConfigMap, labelSelector: {role: node}}
  targets:
    - {apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, verbs: [list, watch]}
  rules:
    - name: count
      lookup:
        of: {apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, labelSelector: {}, fieldSelector: spec.group=x}
      actions:
        - annotate: {annotations: {example.com/of: '${size(lookup.of)}'}}
"""

IN_ORDER = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: in-order}
spec:
  watch: {apiVersion: v1, kind: ConfigMap, labelSelector: {role: order}}
  targets:
    - {apiVersion: v1, kind: ConfigMap, verbs: [get, list, watch, patch]}
  rules:
    - name: close
      lookup: {gate: {apiVersion: v1, kind: ConfigMap, name: gate}}
      when: lookup.gate != null && get(lookup.gate, 'data.state', '') == 'open'
      actions:
        - annotate: {annotations: {example.com/was: '${lookup.gate.data.state}'}}
        - patch: {target: {apiVersion: v1, kind: ConfigMap, name: gate}, patch: {data: {state: closed}}}
"""


@pytest.fixture
def cluster(control_plane: ControlPlane, namespace: str) -> Cluster:
    return Cluster(control_plane, namespace)


@pytest.fixture
def engine(cluster: Cluster) -> Iterator[Engine]:
    with Engine(cluster.plane, cluster.namespace) as engine:
        engine.grant("", "configmaps")
        engine.grant("", "events")
        engine.grant("", "pods")
        texts = {"follow": PACK, "about": ABOUT, "on-node": ON_NODE, "unknown": UNKNOWN, "in-order": IN_ORDER}
        for name, text in texts.items():
            pack = named(CONFIG_MAP, name, engine.own, data={"pack.yaml": text})
            pack["metadata"]["labels"] = {"rules.mlops.dev/rule-pack": "true"}
            cluster.create(pack)
        engine.start()
        engine.ready()
        yield engine


def labelled(name: str, namespace: str, **labels: str) -> Object:
    """A ConfigMap with labels."""
    obj = named(CONFIG_MAP, name, namespace)
    return {**obj, "metadata": {**obj["metadata"], "labels": labels}}


def secret(version: str, namespace: str) -> Object:
    """The Secret that is looked up."""
    obj = named(SECRET, "one", namespace)
    return {**obj, "metadata": {**obj["metadata"], "annotations": {"version": version}}}


def version(cluster: Cluster) -> str | None:
    """What the rule has put down."""
    return annotations_of(cluster.get(CONFIG_MAP, "source")).get("example.com/version")


def may_read_that_secret(engine: Engine) -> None:
    """Grant list and watch on the one Secret by its name, and on no other one."""
    rule = {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["one"], "verbs": ["list", "watch"]}
    engine.bind("ClusterRole", f"{engine.own}-secret", [rule])


def test_a_lookup_reacts_with_a_right_on_one_name(cluster: Cluster, engine: Engine) -> None:
    """Without the right the rule waits, and the pack says why; with it on that name alone, each change reaches the object.

    The watched object changes at no time, and nothing polls: the effects are those of the watches.
    """
    cluster.create(labelled("source", cluster.namespace, role="source", team="web"))
    cluster.create(secret("1", cluster.namespace))
    eventually(lambda: waits(cluster, engine), "pack that waits")
    assert version(cluster) is None

    may_read_that_secret(engine)
    eventually(lambda: version(cluster) == "1 0", "first effect")

    cluster.patch(SECRET, "one", {"metadata": {"annotations": {"version": "2"}}})
    eventually(lambda: version(cluster) == "2 0", "effect of a change of what is looked up by name")

    cluster.create(labelled("other", cluster.namespace, team="ml"))
    eventually(lambda: version(cluster) == "2 1", "effect of an object that a selector selects")

    cluster.patch(CONFIG_MAP, "other", {"metadata": {"labels": {"team": "web"}}})
    eventually(lambda: version(cluster) == "2 0", "effect of a selector that ceases to select it")


def waits(cluster: Cluster, engine: Engine) -> bool:
    """Whether the pack's status says that a lookup waits for a right."""
    status = annotations_of(cluster.get(CONFIG_MAP, "follow", engine.own)).get("rules.mlops.dev/status", "")
    return "lookups of pack follow wait: Secret.v1" in status and "rulepack rbac" in status


def test_fields_select_the_events_about_one_object(cluster: Cluster, engine: Engine) -> None:
    """Those with its uid and that reason, and no others of the namespace."""
    cluster.create(labelled("about", cluster.namespace, role="told"))
    uid = cluster.get(CONFIG_MAP, "about")["metadata"]["uid"]
    for name, of, reason in (("a", uid, "Told"), ("b", uid, "Other"), ("c", "another", "Told")):
        about = {"apiVersion": "v1", "kind": "ConfigMap", "namespace": cluster.namespace, "name": "about", "uid": of}
        event = named(EVENT, name, cluster.namespace, involvedObject=about, reason=reason, message=name, type="Normal")
        cluster.create(event)

    def reported() -> bool:
        return annotations_of(cluster.get(CONFIG_MAP, "about")).get("example.com/told") == "a"

    eventually(reported, "Event that the fields select")


def test_what_fields_select_is_followed(cluster: Cluster, engine: Engine) -> None:
    """A pod that comes to the node, fails or goes is seen, and a change of the node's name; nothing polls.

    Of Secrets only those of that type are watched, which the API server selects.
    """
    engine.bind(
        "ClusterRole", f"{engine.own}-secrets", [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["list", "watch"]}]
    )
    cluster.create(labelled("node", cluster.namespace, role="node"))
    cluster.patch(CONFIG_MAP, "node", {"data": {"node": "one"}})
    for name, node in (("a", "one"), ("b", "two")):
        cluster.create(named(POD, name, cluster.namespace, spec={"nodeName": node, "containers": [{"name": "c", "image": "i"}]}))

    def pods() -> str | None:
        return annotations_of(cluster.get(CONFIG_MAP, "node")).get("example.com/pods")

    eventually(lambda: pods() == "a 0", "pods of a node")
    cluster.create({**secret("1", cluster.namespace), "type": "Opaque"})
    token = named(SECRET, "token", cluster.namespace)
    cluster.create({**token, "type": "example.com/token"})
    eventually(lambda: pods() == "a 1", "Secret of the type that is selected")
    cluster.status(POD, "a", {"phase": "Failed"})
    eventually(lambda: pods() == " 1", "pod that has failed")
    cluster.patch(CONFIG_MAP, "node", {"data": {"node": "two"}})
    eventually(lambda: pods() == "b 1", "pods of another node")
    cluster.delete(SECRET, "token")
    eventually(lambda: pods() == "b 0", "Secret that is gone")


def test_what_stands_before_a_change_of_what_is_looked_up_is_written_before_it(cluster: Cluster, engine: Engine) -> None:
    """That change ends what the rule is about, so a crash between the two would lose the annotation."""
    cluster.create({**named(CONFIG_MAP, "gate", cluster.namespace), "data": {"state": "open"}})
    cluster.create(labelled("order", cluster.namespace, role="order"))
    eventually(lambda: cluster.get(CONFIG_MAP, "gate")["data"]["state"] == "closed", "change of what is looked up")

    assert annotations_of(cluster.get(CONFIG_MAP, "order"))["example.com/was"] == "open"
    paths = [write.partition("?")[0].rpartition("/")[2] for write in engine.writes() if "/configmaps/" in write]
    assert [path for path in paths if path in ("order", "gate")][:2] == ["order", "gate"]


def test_a_field_that_the_api_server_does_not_select_by_is_said(cluster: Cluster, engine: Engine) -> None:
    """Of a kind whose fields lint does not know the API server says it, and the pack's status."""
    rule = {"apiGroups": ["apiextensions.k8s.io"], "resources": ["customresourcedefinitions"], "verbs": ["list", "watch"]}
    engine.bind("ClusterRole", f"{engine.own}-definitions", [rule])

    def status() -> str:
        return annotations_of(cluster.get(CONFIG_MAP, "unknown", engine.own)).get("rules.mlops.dev/status", "")

    eventually(lambda: '400 BadRequest: "spec.group" is not a known field selector' in status(), "status that says so")
