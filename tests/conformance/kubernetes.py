"""Asks a real kube-apiserver what expressions give: each is a rule of a CustomResourceDefinition, and an object is created."""

from __future__ import annotations

import json
import re
import time
import urllib.error
from collections.abc import Mapping, Sequence
from typing import Any

from tests.controlplane.plane import ControlPlane

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
OBJECT: Mapping[str, Any] = {
    "text": "10.0.0.1", "number": 3, "numbers": [3, 1, 2], "labels": {"app": "web"}, "memory": "500Mi", "flag": True,
    "time": "2026-01-24T22:30:00Z",
}  # fmt: skip
_SCHEMA: Mapping[str, Any] = {
    "text": {"type": "string", "maxLength": 100},
    "number": {"type": "integer"},
    "numbers": {"type": "array", "maxItems": 10, "items": {"type": "integer"}},
    "labels": {"type": "object", "maxProperties": 10, "additionalProperties": {"type": "string", "maxLength": 20}},
    "memory": {"type": "string", "maxLength": 20},
    "flag": {"type": "boolean"},
    "time": {"type": "string", "format": "date-time"},
    "absent": {"type": "string", "maxLength": 20},
}


def answers(plane: ControlPlane, name: str, expressions: Sequence[str]) -> dict[str, bool | None]:
    """What each condition on `self` gives; None where it is refused or has no answer.

    One whose cost kube-apiserver estimates as too high for a rule, as it does for any text that is put together, is left out.
    """
    rest, refused = list(expressions), set[str]()
    while faults := _define(plane, name, rest):
        refused |= {rest[index] for index, costly in faults.items() if not costly}
        rest = [each for index, each in enumerate(rest) if index not in faults]
    causes = _causes(plane, name)
    found: dict[str, bool | None] = dict.fromkeys(refused)
    for index, expression in enumerate(rest):
        reported = [cause for cause in causes if re.search(rf"\brule-{index}$", cause)]
        false = [cause for cause in reported if re.fullmatch(rf'Invalid value: ("object": |\{{.*\}}: )?rule-{index}', cause)]
        found[expression] = True if not reported else False if false else None
    return found


def _define(plane: ControlPlane, name: str, expressions: Sequence[str]) -> dict[int, bool]:
    """Create the definition; the indexes of the expressions for which it is refused, and whether for their cost."""
    rules = [{"rule": each, "message": f"rule-{index}"} for index, each in enumerate(expressions)]
    schema = {"type": "object", "properties": _SCHEMA, "x-kubernetes-validations": rules}
    version = {"name": "v1", "served": True, "storage": True}
    names = {"plural": f"{name}s", "singular": name, "kind": name.capitalize()}
    body = {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{name}s.cel.example.com"},
        "spec": {
            "group": "cel.example.com", "scope": "Cluster", "names": names,
            "versions": [{**version, "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": schema}}}}],
        },
    }  # fmt: skip
    try:
        plane.ensure(DEFINITIONS, body)
    except urllib.error.HTTPError as error:
        if error.code != 422:
            raise
        return _refused(json.loads(error.read())["details"]["causes"])
    return {}


def _refused(causes: Sequence[Mapping[str, str]]) -> dict[int, bool]:
    found = {}
    for cause in causes:
        if index := re.search(r"x-kubernetes-validations\[(\d+)\]", cause["field"]):
            found[int(index[1])] = "estimated rule cost" in cause["message"]
    if not found:
        raise AssertionError(f"kube-apiserver refuses the definition: {causes}")
    return found


def _causes(plane: ControlPlane, name: str) -> list[str]:
    """What kube-apiserver says of the object, rule by rule."""
    body = {"apiVersion": "cel.example.com/v1", "kind": name.capitalize(), "metadata": {"name": "one"}, "spec": OBJECT}
    path = f"/apis/cel.example.com/v1/{name}s"
    for _ in range(100):
        try:
            plane.request("POST", f"{path}?dryRun=All", body)
        except urllib.error.HTTPError as error:
            if error.code == 422:
                return [cause["message"] for cause in json.loads(error.read())["details"]["causes"]]
            if error.code not in (404, 429):
                raise
            time.sleep(0.1)
        else:
            return []
    raise TimeoutError(f"kube-apiserver does not serve {path}")
