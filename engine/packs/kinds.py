"""The types of Kubernetes' own kinds, by the models that the package `kubernetes` ships, and the enums of a kube-apiserver.

Loaded by lint only. tests/conformance/enums.py writes enums.json.
"""

from __future__ import annotations

import json
import re
from functools import cache, partial
from importlib.resources import files
from importlib.util import find_spec
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
_API = "kubernetes.client.api"
"""Has a module for each version of each group, and only for those."""


def built_in(kind: Kind) -> Type | None:
    """Return the type of the objects of a kind, None where it is none of Kubernetes' own."""
    group, _, version = kind.api_version.rpartition("/")
    words = (group.removesuffix(".k8s.io") or "core").split(".")
    prefix, number = "".join(map(str.capitalize, words)), version.capitalize()
    if not all(map(str.isalnum, [*words, version])) or find_spec(f"{_API}.{'_'.join(words)}_{version}_api") is None:
        return None
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
    enums = _enums().get(name, {})
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
