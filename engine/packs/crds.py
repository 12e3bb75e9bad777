"""CustomResourceDefinitions: the plurals and the schemas of custom kinds, read from files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from engine.errors import InvalidText, Location, UsageError
from engine.model.objects import Kind, Object, Resource, dig
from engine.packs.sources import load_folder
from engine.packs.yamltext import Bounds, read_yaml

BOUNDS = Bounds(size=8 * 1024 * 1024, nodes=400_000, depth=128)
"""Definitions are far larger than rule packs: the largest of well-known projects have some 1.5 MiB."""


@dataclass(frozen=True, slots=True)
class Definition:
    """What a CustomResourceDefinition says of one version of a kind; the schema is OpenAPI v3, as it stands there."""

    resource: Resource
    schema: Mapping[str, Any]


def read_definitions(paths: Sequence[Path]) -> dict[Kind, Definition]:
    """Return the definitions in these files and folders, by kind. Raise InvalidText, and UsageError where there are none."""
    found: dict[Kind, Definition] = {}
    for text in load_folder(paths, BOUNDS.size) if paths else ():
        if text.faults:
            raise InvalidText(text.faults)
        if "CustomResourceDefinition" not in text.text and len(text.text) <= BOUNDS.size:
            continue
        for document in read_yaml(text.text, partial(Location, text.file), BOUNDS):
            if isinstance(document.value, dict) and document.value.get("kind") == "CustomResourceDefinition":
                found |= {definition.resource.kind: definition for definition in definitions(document.value)}
    if paths and not found:
        raise UsageError(f"no CustomResourceDefinition in {', '.join(map(str, paths))}; expected manifests that define kinds")
    return found


def definitions(crd: Object) -> Iterator[Definition]:
    """Yield what one CustomResourceDefinition says, version by version."""
    group, names = dig(crd, ("spec", "group"), ""), dig(crd, ("spec", "names"), {})
    for version in dig(crd, ("spec", "versions"), []):
        if isinstance(version, Mapping) and isinstance(names, Mapping):
            kind = Kind(f"{group}/{version.get('name', '')}", str(names.get("kind", "")))
            resource = Resource(kind, str(names.get("plural", "")), dig(crd, ("spec", "scope")) != "Cluster")
            yield Definition(resource, dig(version, ("schema", "openAPIV3Schema"), {}))
