"""The types of Kubernetes' own kinds, by the models that the package `kubernetes` ships, and the enums of a kube-apiserver.

Loaded by lint only. tests/conformance/enums.py writes enums.json.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache, partial
from importlib import import_module
from importlib.resources import files
from pkgutil import iter_modules
from typing import Any

from kubernetes import client

from engine.cel.checker.matching import TIME_TEXT, union
from engine.cel.checker.openapi import Fields
from engine.cel.types import BOOL, DOUBLE, DYN, INT, STRING, EnumType, ObjectType, Type, list_of, map_of
from engine.model.objects import Kind

#: What JSON holds for the scalars of models; bytes are texts there, in base64.
_SCALARS: dict[str, Type] = {
    "str": STRING, "datetime": TIME_TEXT, "bytes": STRING, "bool": BOOL, "int": INT, "float": union([INT, DOUBLE]), "object": DYN,
}  # fmt: skip
_LIST, _DICT = re.compile(r"[Ll]ist\[(.*)\]"), re.compile(r"[Dd]ict[\[(]str, (.*)[\])]")
_GROUP_MODULE = re.compile(r"(\w+)_(v\d+\w*)_api")
"""A module of the package `kubernetes` that has the API of a version of a group."""
_SHORT_GROUPS = frozenset(["apps", "autoscaling", "batch", "policy"])
"""The groups of Kubernetes whose names have no `.k8s.io`, beside the core group."""
_VERSIONED = re.compile(r"(?:[A-Z][a-z]+)?V\d+(?:(?:alpha|beta)\d+)?(?=[A-Z])")
_CALLS = re.compile(r"(?:create|read|list)_(?:namespaced_)?(\w+)")


_STATUSES = ["True", "False", "Unknown"]
"""Of a condition. Source: kubernetes, apimachinery/pkg/apis/meta/v1, ConditionStatus."""


@cache
def served() -> Mapping[str, frozenset[str]]:
    """Return Kubernetes' own kinds by the apiVersion that has them, as the package `kubernetes` knows them."""
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


def _is_kind(name: str) -> bool:
    return {"api_version", "kind", "metadata"} <= getattr(getattr(client, name), "openapi_types", {}).keys()


def built_in(kind: Kind) -> Type | None:
    """Return the type of the objects of a kind, None where it is none of Kubernetes' own."""
    if kind.kind not in served().get(kind.api_version, ()):
        return None
    group, _, version = kind.api_version.rpartition("/")
    prefix, number = "".join(map(str.capitalize, (group.removesuffix(".k8s.io") or "core").split("."))), version.capitalize()
    models = (f"{number}{kind.kind}", f"{prefix}{number}{kind.kind}")
    return next((_model(name) for name in models if hasattr(client, name)), None)


def metadata() -> Type:
    """Return the type of what every object has as its metadata."""
    return _model("V1ObjectMeta")


@cache
def _enums() -> dict[str, dict[str, list[str]]]:
    """Return which texts fields may hold, by the model's name: with the group before its version, and without."""
    found: dict[str, dict[str, list[str]]] = json.loads(files("engine.packs").joinpath("enums.json").read_text())
    named = {}
    for name, fields in found.items():
        group, version, kind = name.split(".")
        named[f"{version.capitalize()}{kind}"] = named[f"{group.capitalize()}{version.capitalize()}{kind}"] = fields
    return named


@cache
def _model(name: str) -> Type:
    """Return the type of a model's values."""
    enums = _enums().get(name, {}) | ({"status": _STATUSES} if name.endswith("Condition") else {})
    types: dict[str, str] = getattr(client, name).openapi_types
    names: dict[str, str] = getattr(client, name).attribute_map
    fields = {names[attribute]: declared for attribute, declared in types.items()}
    return ObjectType(name, Fields(fields, partial(_field, fields, enums)))


def _field(fields: dict[str, str], enums: dict[str, list[str]], name: str) -> Type:
    return EnumType(tuple(enums[name])) if name in enums else _declared(fields[name])


def _declared(text: str) -> Type:
    """Return the type that a model declares for a field, such as `Dict[str, List[V1Container]]`."""
    if match := _LIST.fullmatch(text):
        return list_of(_declared(match[1]))
    if match := _DICT.fullmatch(text):
        return map_of(STRING, _declared(match[1]))
    if text in _SCALARS:
        return _SCALARS[text]
    model: Any = getattr(client, text, None)
    return _model(text) if hasattr(model, "openapi_types") else DYN
