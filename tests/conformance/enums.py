"""Writes engine/packs/enums.json: which texts a field of Kubernetes' own kinds may hold, as kube-apiserver publishes it.

The models of the package `kubernetes` do not say it: they are made from an OpenAPI document without enums.
`KUBERNETES_VERSION=1.37 python -m tests.conformance.enums` adds what that version has to what is written there already, so that
nothing that any supported version takes is called wrong; a test compares it with the version of the tests.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.controlplane.binaries import programs
from tests.controlplane.plane import ControlPlane

FILE = Path(__file__).parents[2] / "engine/packs/enums.json"
Enums = dict[str, dict[str, list[str]]]


def served(plane: ControlPlane) -> Enums:
    """The values by the model's name, without its version's group, and the field."""
    found: Enums = {}
    for entry in plane.request("GET", "/openapi/v3")["paths"].values():
        path = entry["serverRelativeURL"]
        if path.startswith(("/openapi/v3/api/", "/openapi/v3/apis/")):
            for name, schema in (plane.request("GET", path).get("components") or {}).get("schemas", {}).items():
                if name.startswith("io.k8s.api.") and (fields := _fields(schema)):
                    found[name.removeprefix("io.k8s.api.")] = fields
    return found


def _fields(schema: dict[str, Any]) -> dict[str, list[str]]:
    fields = schema.get("properties") or {}
    return {name: sorted(field["enum"]) for name, field in sorted(fields.items()) if isinstance(field.get("enum"), list)}


def merged(one: Enums, other: Enums) -> Enums:
    """The values of either."""
    return {
        name: {
            field: sorted({*one.get(name, {}).get(field, ()), *other.get(name, {}).get(field, ())})
            for field in sorted({*one.get(name, {}), *other.get(name, {})})
        }
        for name in sorted({*one, *other})
    }


if __name__ == "__main__":
    with ControlPlane(programs()) as plane:
        known = json.loads(FILE.read_text()) if FILE.exists() else {}
        FILE.write_text(json.dumps(merged(known, served(plane)), indent=1) + "\n")
