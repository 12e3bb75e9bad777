"""The types of Kubernetes' own kinds, by the models of its Python client, and the enums of a kube-apiserver.

tests/conformance/kinds.py writes kinds.json, and tests/conformance/enums.py enums.json.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache, partial
from importlib.resources import files

from engine.cel.checker.matching import TIME_TEXT, union
from engine.cel.checker.openapi import Fields
from engine.cel.types import BOOL, DOUBLE, DYN, INT, STRING, EnumType, ObjectType, Type, list_of, map_of
from engine.model.objects import Kind

#: What JSON holds for the scalars of models; bytes are texts there, in base64.
_SCALARS: dict[str, Type] = {
    "str": STRING, "datetime": TIME_TEXT, "bytes": STRING, "bool": BOOL, "int": INT, "float": union([INT, DOUBLE]), "object": DYN,
}  # fmt: skip
_LIST, _DICT = re.compile(r"[Ll]ist\[(.*)\]"), re.compile(r"[Dd]ict[\[(]str, (.*)[\])]")
_STATUSES = ["True", "False", "Unknown"]
"""Of a condition. Source: kubernetes, apimachinery/pkg/apis/meta/v1, ConditionStatus."""


@cache
def _published() -> dict[str, dict[str, dict[str, str]]]:
    """Return the models of kinds, by apiVersion and name, and the types of the fields of models."""
    found: dict[str, dict[str, dict[str, str]]] = json.loads(files("engine.packs").joinpath("kinds.json").read_text())
    return found


@cache
def served() -> Mapping[str, frozenset[str]]:
    """Return Kubernetes' own kinds by the apiVersion that has them."""
    return {version: frozenset(names) for version, names in _published()["kinds"].items()}


def built_in(kind: Kind) -> Type | None:
    """Return the type of the objects of a kind, None where it is none of Kubernetes' own."""
    model = _published()["kinds"].get(kind.api_version, {}).get(kind.kind)
    return None if model is None else _model(model)


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
    fields = _published()["models"][name]
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
    return _model(text) if text in _published()["models"] else DYN
