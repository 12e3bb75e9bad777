"""Writes engine/packs/kinds.json: Kubernetes' own kinds and the types of their fields, by the models of the package `kubernetes`.

The package takes 2 seconds to import, more than all else that `rulepack test` does for a small pack; its 60 MB would be most of
the image. `python -m tests.conformance.kinds` writes the file anew after an update of the package; a test compares them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from kubernetes import client

FILE = Path(__file__).parents[2] / "engine/packs/kinds.json"
_GROUP_MODULE = re.compile(r"(\w+)_(v\d+\w*)_api")
"""A module of the package that has the API of a version of a group."""
_SHORT_GROUPS = frozenset(["apps", "autoscaling", "batch", "policy"])
"""The groups of Kubernetes whose names have no `.k8s.io`, beside the core group."""
_VERSIONED = re.compile(r"(?:[A-Z][a-z]+)?V\d+(?:(?:alpha|beta)\d+)?(?=[A-Z])")
_CALLS = re.compile(r"(?:create|read|list)_(?:namespaced_)?(\w+)")
_MODEL = re.compile(r"\w+")


def published() -> dict[str, Any]:
    """Return the model of each kind by its apiVersion and name, and of each model that one needs the types of its fields."""
    kinds = {version: {name: _model_of(version, name) for name in sorted(names)} for version, names in sorted(_served().items())}
    needed = {model for names in kinds.values() for model in names.values()} | {"V1ObjectMeta"}
    models: dict[str, dict[str, str]] = {}
    while needed:
        name = needed.pop()
        models[name] = _fields(name)
        words = {word for declared in models[name].values() for word in _MODEL.findall(declared)}
        needed |= {word for word in words - models.keys() if _is_model(word)}
    return {"kinds": kinds, "models": dict(sorted(models.items()))}


def _served() -> Mapping[str, frozenset[str]]:
    """Return Kubernetes' own kinds by the apiVersion that has them."""
    names = [_VERSIONED.sub("", name, count=1) for name in dir(client) if name[:1].isupper() and _is_kind(name)]
    found: dict[str, frozenset[str]] = {}
    for module in iter_modules(import_module("kubernetes.client.api").__path__):
        if match := _GROUP_MODULE.fullmatch(module.name):
            group = match[1].replace("_", ".")
            prefix = "" if group == "core" else f"{group}/" if group in _SHORT_GROUPS else f"{group}.k8s.io/"
            calls = getattr(client, "".join(word.capitalize() for word in module.name.split("_")))
            words = {word[1].replace("_", "") for call in dir(calls) if (word := _CALLS.fullmatch(call))}
            found[prefix + match[2]] = frozenset(name for name in names if name.lower() in words)
    return found


def _is_model(name: str) -> bool:
    return hasattr(getattr(client, name, None), "openapi_types")


def _is_kind(name: str) -> bool:
    return {"api_version", "kind", "metadata"} <= getattr(getattr(client, name), "openapi_types", {}).keys()


def _model_of(api_version: str, kind: str) -> str:
    """Return the name of a kind's model: with the group before its version where several groups have such a kind."""
    group, _, version = api_version.rpartition("/")
    prefix, number = "".join(map(str.capitalize, (group.removesuffix(".k8s.io") or "core").split("."))), version.capitalize()
    return next(name for name in (f"{number}{kind}", f"{prefix}{number}{kind}") if _is_model(name))


def _fields(model: str) -> dict[str, str]:
    """Return the types of a model's fields, such as `Dict[str, List[V1Container]]`, by their names in JSON."""
    types: dict[str, str] = getattr(client, model).openapi_types
    names: dict[str, str] = getattr(client, model).attribute_map
    return {names[attribute]: types[attribute] for attribute in sorted(types, key=names.__getitem__)}


if __name__ == "__main__":
    FILE.write_text(json.dumps(published(), indent=1) + "\n")
