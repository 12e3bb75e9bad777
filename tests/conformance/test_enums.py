"""The enums that lint knows of Kubernetes' own kinds are those of a real kube-apiserver."""

from __future__ import annotations

import json

from engine.cel.types import EnumType, ObjectType
from engine.model.objects import Kind
from engine.packs.kinds import built_in
from tests.conformance.enums import FILE, merged, served
from tests.controlplane.plane import ControlPlane


def test_every_value_of_the_api_server_is_known(control_plane: ControlPlane) -> None:
    """`python -m tests.conformance.enums` adds those that are new."""
    written, found = json.loads(FILE.read_text()), served(control_plane)

    assert found
    assert merged(written, found) == written


def test_a_field_has_the_values_of_its_model() -> None:
    """They are found by the name of the model, whatever its group."""
    pod = built_in(Kind("v1", "Pod"))
    assert isinstance(pod, ObjectType)
    status = pod.fields["status"]
    assert isinstance(status, ObjectType)
    assert status.fields["phase"] == EnumType(("Failed", "Pending", "Running", "Succeeded", "Unknown"))
