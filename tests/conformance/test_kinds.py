"""What lint knows of Kubernetes' own kinds is what a real kube-apiserver says of them."""

from __future__ import annotations

import json

from engine.cel.types import EnumType, ObjectType
from engine.model.objects import Kind
from engine.packs.kinds import built_in
from tests.conformance.kinds import FILE, merged, served, text
from tests.controlplane.plane import ControlPlane


def test_every_schema_of_the_api_server_is_known(control_plane: ControlPlane) -> None:
    """`python -m tests.conformance.kinds` adds what is new."""
    written, found = json.loads(FILE.read_text()), served(control_plane)

    assert "io.k8s.api.apps.v1.Deployment" in found
    assert merged(written, found) == written


def test_the_file_is_as_it_would_be_written() -> None:
    """In order, so that a new version changes only the lines of what it changes."""
    written = FILE.read_text()
    assert text(json.loads(written)) == written


def test_a_field_has_the_values_of_its_schema() -> None:
    """Also where that is another schema, which it refers to."""
    pod = built_in(Kind("v1", "Pod"))
    assert isinstance(pod, ObjectType)
    status = pod.fields["status"]
    assert isinstance(status, ObjectType)
    assert status.fields["phase"] == EnumType(("Failed", "Pending", "Running", "Succeeded", "Unknown"))
