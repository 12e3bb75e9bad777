"""Kubernetes' own kinds: which there are, and their types, by the models of its Python client and a kube-apiserver's enums.

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
from engine.model.plurals import guessed_resource
from engine.model.text import suggestion

#: What JSON holds for the scalars of models; bytes are texts there, in base64.
_SCALARS: dict[str, Type] = {
    "str": STRING, "datetime": TIME_TEXT, "bytes": STRING, "bool": BOOL, "int": INT, "float": union([INT, DOUBLE]), "object": DYN,
}  # fmt: skip
_LIST, _DICT = re.compile(r"[Ll]ist\[(.*)\]"), re.compile(r"[Dd]ict[\[(]str, (.*)[\])]")
_STATUSES = ["True", "False", "Unknown"]
"""Of a condition. Source: kubernetes, apimachinery/pkg/apis/meta/v1, ConditionStatus."""

_SUBRESOURCES = frozenset(["Eviction", "Scale", "TokenRequest"])
"""Kinds of what is sent to a subresource only."""
_SHORT_NAMES = {
    "cj": "CronJob", "cm": "ConfigMap", "crd": "CustomResourceDefinition", "deploy": "Deployment",
    "ds": "DaemonSet", "ep": "Endpoints", "hpa": "HorizontalPodAutoscaler", "ing": "Ingress", "limits": "LimitRange",
    "netpol": "NetworkPolicy", "no": "Node", "ns": "Namespace", "pdb": "PodDisruptionBudget", "po": "Pod",
    "pv": "PersistentVolume", "pvc": "PersistentVolumeClaim", "quota": "ResourceQuota", "rs": "ReplicaSet",
    "sa": "ServiceAccount", "sc": "StorageClass", "sts": "StatefulSet", "svc": "Service",
}  # fmt: skip
"""What kubectl takes for a kind as well. Source: `kubectl api-resources`, the column SHORTNAMES."""


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


_CONDITIONS = {"V1JobCondition": {"type": ["Complete", "Failed", "FailureTarget", "SuccessCriteriaMet", "Suspended"]}}
"""The types of conditions of a kind of which no other controller writes any. Source: kubernetes, k8s.io/api/batch/v1/types.go."""


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
    enums = _enums().get(name, {}) | ({"status": _STATUSES} if name.endswith("Condition") else {}) | _CONDITIONS.get(name, {})
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


def no_kind(kind: Kind) -> str:
    """Return in words that nobody serves a kind."""
    return f"there is no kind {kind.kind} in {kind.api_version}"


def instead_of(kind: Kind) -> str:
    """Return what was expected in place of a kind, '' where it may well be one."""
    known = served()
    same, word = known.get(kind.api_version), kind.kind.lower()
    meant = {
        version: name
        for version, names in known.items()
        for name in names
        if word in (name.lower(), guessed_resource(Kind(version, name)).plural) or name == _SHORT_NAMES.get(word)
    }
    if same is not None:
        if kind.kind in same or kind.kind in _SUBRESOURCES or kind.kind.endswith("List"):
            return ""
        if kind.api_version in meant:
            return meant[kind.api_version]
        return _elsewhere(meant) or suggestion(kind.kind, same)
    groups = {version.rpartition("/")[0] for version in known}
    if kind.group in groups or "." not in kind.group:
        here = {version: name for version, name in meant.items() if Kind(version, name).group == kind.group}
        if expected := _elsewhere(here or meant):
            return expected
        if kind.group not in groups:
            return "a group that has a dot, as those of CustomResourceDefinitions do"
    return "" if kind.kind[:1].isupper() else "a kind, which begins with a capital letter"


def _elsewhere(meant: dict[str, str]) -> str:
    """Return the kind with the best apiVersion that has it: a stable one before others."""
    stable = sorted(meant, key=lambda version: ("alpha" in version or "beta" in version, version))
    return f"{stable[0]} {meant[stable[0]]}" if stable else ""
