"""`kind: RulePack` on a real kube-apiserver: what it takes, what it keeps, what it refuses."""

from __future__ import annotations

import json
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.packs.crd import custom_resource_definition
from engine.packs.library_crd import library_definition
from engine.packs.sources import load_folder, shipped_rules
from tests.chaos.layout import prepare
from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import eventually
from tests.e2e.engine import Engine
from tests.world import RULES

PACK = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: kind}
spec:
  watch: {apiVersion: v1, kind: ConfigMap}
  rules:
    - name: mark
      when: has(object.data)
      actions:
        - annotate: {annotations: {example.com/mark: 'yes'}}
"""


@pytest.fixture
def plane(control_plane: ControlPlane) -> ControlPlane:
    control_plane.define(custom_resource_definition())
    return control_plane


@pytest.fixture
def packs(plane: ControlPlane, namespace: str) -> str:
    return f"/apis/rules.mlops.dev/v1alpha1/namespaces/{namespace}/rulepacks"


def pack(**spec: Any) -> dict[str, Any]:
    """The pack of this file, with other keys in its spec."""
    written: dict[str, Any] = yaml.safe_load(PACK)
    written["spec"] |= spec
    return written


def refused(plane: ControlPlane, path: str, body: dict[str, Any]) -> str:
    """What the API server says of an object that it refuses."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        plane.request("POST", path, body)
    return str(json.loads(caught.value.read())["message"])


def shipped() -> Iterator[Any]:
    """Every RulePack that this project shows in a file."""
    files = [Path(text.file) for text in load_folder([shipped_rules(), RULES.parent / "examples"])]
    for file in files:
        for number, document in enumerate(yaml.safe_load_all(file.read_text())):
            if isinstance(document, dict) and document.get("kind") == "RulePack":
                yield pytest.param(document, id=f"{file.parent.name}-{number}")


@pytest.mark.parametrize("written", [*shipped()])
def test_each_pack_of_this_project_can_be_applied(plane: ControlPlane, packs: str, written: dict[str, Any]) -> None:
    """As a user applies it, with strict validation; and nothing of it is dropped."""
    created = plane.request("POST", f"{packs}?fieldValidation=Strict&dryRun=All", written)

    assert created["spec"] == written["spec"]


def test_a_misspelt_key_is_kept_for_the_operator_to_refuse(plane: ControlPlane, packs: str) -> None:
    """`wehn` that the server dropped would leave a rule without a condition."""
    written = pack()
    written["spec"]["rules"][0]["wehn"] = written["spec"]["rules"][0].pop("when")
    written["spec"]["rules"][0]["actions"][0]["annotate"]["anotations"] = {}

    created = plane.request("POST", f"{packs}?fieldValidation=Ignore", written)

    assert created["spec"] == written["spec"]


@pytest.mark.parametrize("definition", [custom_resource_definition(), library_definition()], ids=["RulePack", "RuleLibrary"])
def test_a_key_beside_spec_is_kept_for_the_operator_to_refuse(
    control_plane: ControlPlane, namespace: str, definition: dict[str, Any]
) -> None:
    """A `mode` that the server dropped would leave a pack in Enforce. It is one more generation, and no status drops it."""
    names = definition["spec"]["names"]
    control_plane.define(definition)
    path = f"/apis/rules.mlops.dev/v1alpha1/namespaces/{namespace}/{names['plural']}"
    written = pack() | {"kind": names["kind"], "mode": "Audit", "nested": {"a": [{"b": None}]}}
    if names["kind"] == "RuleLibrary":
        written["spec"] = {"functions": {"one": {"description": "One.", "expression": "1"}}}

    created = control_plane.request("POST", f"{path}?fieldValidation=Ignore", written)
    updated = control_plane.request("PUT", f"{path}/kind", {**created, "mode": "Enforce", "status": {"observedGeneration": 7}})
    status = {"status": {"observedGeneration": 1}}
    current = control_plane.request("PUT", f"{path}/kind/status", {**updated, "mode": "lost", **status})

    assert created | {"metadata": {}} == written | {"metadata": {}}
    assert (created["metadata"]["generation"], updated["metadata"]["generation"]) == (1, 2)
    assert (current["mode"], current["status"], "status" in updated) == ("Enforce", status["status"], False)


def test_what_yaml_1_1_makes_of_off_is_refused(plane: ControlPlane, packs: str) -> None:
    message = refused(plane, packs, pack(defaultMode=False))

    assert "spec.defaultMode in body must be of type string" in message


def test_a_pack_is_either_written_or_shipped(plane: ControlPlane, packs: str) -> None:
    neither, both = pack(), pack(shipped="sync-waves")
    del neither["spec"]["rules"]

    messages = [refused(plane, packs, neither), refused(plane, packs, both)]

    assert all("set either rules and watch, or shipped" in message for message in messages)


def test_a_reference_needs_no_more_than_a_name(plane: ControlPlane, packs: str) -> None:
    reference = pack() | {"spec": {"shipped": "sync-waves", "mode": "Audit", "params": {"maxDisruptionsPerMinute": 3}}}

    created = plane.request("POST", packs, reference)

    assert created["spec"] == reference["spec"]


@pytest.mark.parametrize("name", ["a.b", "a" * 64])
def test_a_name_that_no_pack_can_have_is_refused(plane: ControlPlane, packs: str, name: str) -> None:
    message = refused(plane, packs, pack() | {"metadata": {"name": name}})

    assert "metadata.name: lower case letters, digits and '-', at most 63" in message


@pytest.fixture
def engine(plane: ControlPlane, namespace: str) -> Iterator[Engine]:
    """An engine for one namespace, with the rights of config/rbac."""
    prepare(plane, namespace)
    with Engine(plane, namespace) as engine:
        yield engine


def condition(plane: ControlPlane, path: str, name: str) -> tuple[str, str]:
    """Status and reason of a condition of a RulePack; '' while there is none."""
    try:
        conditions = plane.request("GET", path).get("status", {}).get("conditions", [])
    except urllib.error.HTTPError:
        conditions = []
    return next(((each["status"], each["reason"]) for each in conditions if each["type"] == name), ("", ""))


def test_the_operator_says_on_an_object_how_it_fares(plane: ControlPlane, engine: Engine) -> None:
    """Shipped packs have an object each; one with a misspelt key is refused by path, and the last good one stays in force."""
    home = f"/apis/rules.mlops.dev/v1alpha1/namespaces/{engine.own}/rulepacks"
    engine.start()

    eventually(lambda: condition(plane, f"{home}/sync-waves", "Ready") == ("True", "InForce"), "status of a shipped pack")
    plane.request("POST", home, pack())
    eventually(lambda: condition(plane, f"{home}/kind", "Accepted") == ("True", "Accepted"), "status of an own pack")
    broken = plane.request("GET", f"{home}/kind")
    broken["spec"]["rules"][0]["wehn"] = broken["spec"]["rules"][0].pop("when")
    plane.request("PUT", f"{home}/kind", broken)
    eventually(lambda: condition(plane, f"{home}/kind", "Accepted") == ("False", "Invalid"), "refusal of the misspelt key")

    status = plane.request("GET", f"{home}/kind")["status"]
    assert (status["observedGeneration"], status["generationInForce"]) == (2, 1)
    assert [fault["path"] for fault in status["faults"]] == ["spec.rules[0].wehn"]
