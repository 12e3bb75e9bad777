"""Objects that a real API server takes and orjson does not: each is left out and named, and the others are evaluated."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress

import pytest

from engine.model.objects import Kind, annotations_of
from tests.cluster.test_waiting_packs import ALL, PACK, definition, grant
from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import Cluster, eventually
from tests.e2e.engine import Engine

WIDGET = Kind("example.com/v1", "Widget")
MAPS = "/api/v1/namespaces/deep/configmaps"
PATH = "/apis/example.com/v1/namespaces/deep/widgets"


def nested(levels: int) -> bytes:
    return b'{"a":' * levels + b"1" + b"}" * levels


@pytest.fixture
def engine(own_plane: ControlPlane) -> Iterator[Engine]:
    own_plane.ensure("/api/v1/namespaces", {"metadata": {"name": "deep"}})
    own_plane.define(definition("Widget", "widgets"))
    with Engine(own_plane, "deep") as engine:
        grant(own_plane, engine, "widgets", (*ALL, "patch"))
        yield engine
    for path in (*(f"{PATH}/{name}" for name in ("too-deep", "broken", "good")), f"{MAPS}/reader"):
        with suppress(urllib.error.HTTPError):  # it is not there
            own_plane.request("DELETE", path, {"propagationPolicy": "Background"})


def create(plane: ControlPlane, name: str, spec: bytes, labels: bytes = b"{}") -> int:
    """Create a widget whose spec and labels are these texts; return the status of the answer."""
    meta = b'{"name": "%s", "labels": %s}' % (name.encode(), labels)
    body = b'{"apiVersion": "example.com/v1", "kind": "Widget", "metadata": %s, "spec": %s}' % (meta, spec)
    headers = {"Authorization": f"Bearer {plane.admin_token}", "Content-Type": "application/json"}
    trusted = ssl.create_default_context(cafile=plane.certificate)
    trusted.verify_flags &= ~ssl.VERIFY_X509_STRICT
    try:
        with urllib.request.urlopen(
            urllib.request.Request(plane.url + PATH, body, headers), timeout=30, context=trusted
        ) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_the_others_are_evaluated(own_plane: ControlPlane, engine: Engine) -> None:
    """1,100 and 9,000 levels, in the first list and in a watch; odd numbers and bytes, as the API server keeps them."""
    Cluster(own_plane, engine.own).create({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "p", "labels": {"rules.mlops.dev/rule-pack": "true"}},
        "data": {"pack.yaml": PACK.format(name="p", api_version=WIDGET.api_version, kind=WIDGET.kind)},
    })  # fmt: skip
    assert create(own_plane, "deep-1", nested(1100)) == create(own_plane, "deep-2", nested(9000)) == 201
    assert create(own_plane, "levels", nested(900)) == create(own_plane, "first", b"{}") == 201
    for name, spec in {"large": str(2**70).encode(), "huge": b"1e400", "bytes": b'"\xff\xfe"'}.items():
        assert create(own_plane, name, b'{"x": %s}' % spec) in (201, 400)
    engine.start()
    engine.ready()

    def marked(name: str) -> bool:
        return annotations_of(own_plane.request("GET", f"{PATH}/{name}")).get("example.com/mark") == "seen"

    eventually(lambda: marked("first"), "widget of the first list that is marked", 60)
    eventually(lambda: marked("levels"), "widget of 900 levels that is marked", 60)
    assert create(own_plane, "deep-3", nested(1100)) == create(own_plane, "deep-4", nested(9000)) == 201
    assert create(own_plane, "second", b"{}") == 201
    eventually(lambda: marked("second"), "widget of the watch that is marked", 60)

    deep = [f"deep-{number}" for number in (1, 2, 3, 4)]
    kind = str(WIDGET)
    eventually(lambda: engine.metric("rulepack_objects_left_out", kind=kind) == 4, "metric", 30)
    assert engine.packs()["p"]["leftOut"] == [f"Widget deep/{name}" for name in deep]
    assert all(f"Widget.example.com/v1 deep/{name} is left out" in engine.log() for name in deep)

    def reported() -> list[str]:
        events = own_plane.request("GET", "/api/v1/namespaces/deep/events")["items"]
        return sorted(event["involvedObject"]["name"] for event in events if event["reason"] == "ObjectLeftOut")

    eventually(lambda: reported() == deep, "Event on each", 30)
    for name in deep:
        own_plane.request("DELETE", f"{PATH}/{name}", {"propagationPolicy": "Background"})
    eventually(lambda: engine.metric("rulepack_objects_left_out", kind=kind) == 0, "metric of those that are gone", 30)
    assert create(own_plane, "third", b"{}") == 201
    eventually(lambda: marked("third"), "widget after that", 60)
    assert "a bug in rulepack" not in engine.log()


ACTING = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: acts}
spec:
  watch: {apiVersion: v1, kind: ConfigMap, labelSelector: {acts: 'yes'}}
  targets:
    - {apiVersion: example.com/v1, kind: Widget, verbs: [get, patch]}
  rules:
    - name: mark
      oncePer: object.metadata.uid
      actions:
        - patch:
            target: {apiVersion: example.com/v1, kind: Widget, name: '${object.data.target}'}
            patch: {metadata: {annotations: {example.com/mark: seen}}}
"""


def test_a_target_that_cannot_be_decoded_fails_by_itself(own_plane: ControlPlane, engine: Engine) -> None:
    """The Event says which object it is and what would do; actions on other targets go on."""
    engine.bind("ClusterRole", f"{engine.own}-maps", [{"apiGroups": [""], "resources": ["configmaps"], "verbs": [*ALL, "patch"]}])
    Cluster(own_plane, engine.own).create({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "acts", "labels": {"rules.mlops.dev/rule-pack": "true"}},
        "data": {"pack.yaml": ACTING},
    })  # fmt: skip
    assert create(own_plane, "too-deep", nested(9000)) == create(own_plane, "good", b"{}") == 201
    engine.start()
    engine.ready()
    for target in ("too-deep", "good"):
        Cluster(own_plane, "deep").create({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"for-{target}", "labels": {"acts": "yes"}},
            "data": {"target": target},
        })  # fmt: skip

    def reported() -> list[tuple[str, str]]:
        events = own_plane.request("GET", "/api/v1/namespaces/deep/events")["items"]
        return [(event["involvedObject"]["name"], event["message"]) for event in events if event["reason"] == "RuleFailed"]

    eventually(lambda: annotations_of(own_plane.request("GET", f"{PATH}/good")).get("example.com/mark") == "seen", "mark", 60)
    eventually(reported, "Event about the other one", 60)
    ((name, message),) = reported()
    assert name == "for-too-deep"
    assert "Widget deep/too-deep cannot be decoded" in message
    assert "expected at most 1,024 levels of nesting" in message


READING = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: reads}
spec:
  watch: {apiVersion: v1, kind: ConfigMap, labelSelector: {reads: 'yes'}}
  targets:
    - {apiVersion: example.com/v1, kind: Widget, verbs: [get, list, watch, delete]}
  rules:
    - name: reads
      oncePer: object.metadata.uid
"""
ALL_OF_THEM = "{apiVersion: example.com/v1, kind: Widget, labelSelector: {read: 'yes'}}"
BY_LOOKUP = """\
      lookup: {widgets: %s}
      actions:
        - annotate: {annotations: {example.com/found: '${lookup.widgets.map(w, w.metadata.name).join(",")}'}}
"""
BY_SELECTOR = f"""\
      actions:
        - delete: {{target: {ALL_OF_THEM}}}
        - annotate: {{annotations: {{example.com/found: good}}}}
"""


@pytest.mark.parametrize("rule", [
    pytest.param(BY_LOOKUP % ALL_OF_THEM, id="a lookup that is followed"),
    pytest.param(BY_LOOKUP % ALL_OF_THEM.replace("}}", "}, live: true}"), id="a lookup that is read"),
    pytest.param(BY_SELECTOR, id="targets"),
])  # fmt: skip
def test_what_a_list_leaves_out_is_named(own_plane: ControlPlane, engine: Engine, rule: str) -> None:
    """Once in the log, in the metric and by an Event; the others are found."""
    maps = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": [*ALL, "patch"]}]
    engine.bind("ClusterRole", f"{engine.own}-maps", maps)
    grant(own_plane, engine, "widgets", (*ALL, "delete"))
    own_plane.request("DELETE", f"/api/v1/namespaces/{engine.own}/configmaps")  # the packs of other tests
    Cluster(own_plane, engine.own).create({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "reads", "labels": {"rules.mlops.dev/rule-pack": "true"}},
        "data": {"pack.yaml": READING + rule},
    })  # fmt: skip
    for name, spec in {"broken": nested(9000), "good": b"{}"}.items():
        assert create(own_plane, name, spec, labels=b'{"read": "yes"}') == 201
    reader = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "reader", "labels": {"reads": "yes"}}}
    Cluster(own_plane, "deep").create(reader)
    engine.start()
    engine.ready()

    def found() -> str | None:
        return annotations_of(own_plane.request("GET", f"{MAPS}/reader")).get("example.com/found")

    eventually(lambda: found() == "good", "what it finds", 60)
    assert engine.metric("rulepack_objects_left_out", kind=str(WIDGET)) == 1
    assert engine.log().count("Widget.example.com/v1 deep/broken is left out, since it cannot be decoded") == 1

    def reported() -> int:
        events = own_plane.request("GET", "/api/v1/namespaces/deep/events")["items"]
        left_out = [event["involvedObject"] for event in events if event["reason"] == "ObjectLeftOut"]
        return sum(obj["name"] == "broken" for obj in left_out)

    eventually(lambda: reported() == 1, "Event on it", 30)
    own_plane.request("DELETE", "/api/v1/namespaces/deep/events")
