"""The types of kinds by the OpenAPI v3 that a cluster publishes: of its own, of custom ones, and of those of aggregated APIs.

Everybody who may ask the API server for anything may read it (ClusterRole `system:discovery`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from engine.cel.checker import type_of_kind
from engine.cel.types import DYN, Type
from engine.errors import ApiError
from engine.kube.api import OPENAPI, Api
from engine.model.objects import Kind


async def published(api: Api) -> dict[str, str]:
    """Return where the schemas of each apiVersion are: a path that is another one when they change. Raises ApiError."""
    paths = (await api.openapi()).get("paths")
    found = {}
    for name, entry in paths.items() if isinstance(paths, Mapping) else ():
        path = entry.get("serverRelativeURL") if isinstance(entry, Mapping) else None
        if isinstance(path, str) and path.startswith(f"{OPENAPI}/"):
            found[str(name).removeprefix("apis/").removeprefix("api/")] = path
    return found


async def types_of(api: Api, paths: Mapping[str, str], kinds: Iterable[Kind]) -> tuple[dict[Kind, Type], list[ApiError]]:
    """Return the types of the objects of those kinds that have schemas, and why those of others cannot be had now."""
    versions: dict[str, list[Kind]] = {}
    for kind in kinds:
        versions.setdefault(kind.api_version, []).append(kind)
    found: dict[Kind, Type] = {}
    errors: list[ApiError] = []
    for version in sorted(versions.keys() & paths.keys()):
        try:
            document = await api.openapi(paths[version])
        except ApiError as error:
            errors.append(error)
        else:
            found |= {kind: of_kind for kind in versions[version] if (of_kind := _type(document, kind)) != DYN}
    return found, errors


def _type(document: Mapping[str, Any], kind: Kind) -> Type:
    group, _, version = kind.api_version.rpartition("/")
    return type_of_kind(document, group, version, kind.kind)
