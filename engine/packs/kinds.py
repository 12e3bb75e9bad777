"""The types of Kubernetes' own kinds, by the schemas that kube-apiserver publishes.

Loaded by lint only. tests/conformance/kinds.py writes kinds.json.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from engine.cel.checker.openapi import SchemaTypes, type_of_kind
from engine.cel.types import DYN, Type
from engine.model.objects import Kind

#: The schema of what every object has as its metadata.
METADATA = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"


@cache
def built_in(kind: Kind) -> Type | None:
    """Return the type of the objects of a kind, None where it is none of Kubernetes' own."""
    group, _, version = kind.api_version.rpartition("/")
    found = type_of_kind({"components": {"schemas": _schemas()}}, group, version, kind.kind)
    return None if found is DYN else found


@cache
def metadata() -> Type:
    """Return the type of what every object has as its metadata."""
    return SchemaTypes(True, _schemas()).of(_schemas()[METADATA], "ObjectMeta")


@cache
def _schemas() -> dict[str, Any]:
    schemas: dict[str, Any] = json.loads(files("engine.packs").joinpath("kinds.json").read_text())
    return schemas
