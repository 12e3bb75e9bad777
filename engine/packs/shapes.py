"""How to write a value that stands there as another type: the form of its mapping, its list, or its text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, get_args, get_origin

from engine.actions import ACTIONS
from engine.cel import Path
from engine.packs.belongs import fields_of_type, members

_MAPPING = frozenset(["dict_type", "model_type", "model_attributes_type"])
#: A key with a mapping, where people write a number or a text -> the mapping.
_FORMS = {
    "schedule": "{cron: '0 2 * * *'}", "throttle": "{every: 1h}", "retry": "{limit: 5, timeout: 1h}",
    "namespaceSelector": "{matchLabels: {team: a}}", "limits": "{maxTargets: 5}",
    "watch": "{apiVersion: apps/v1, kind: Deployment}", "targets": "{apiVersion: v1, kind: Pod, verbs: [get]}",
    "vars": "{count: size(object.spec.items)}", "labels": "{example.com/key: value}", "annotations": "{example.com/key: value}",
    "params": "{limit: {type: integer, default: 3}}", "inputs": "{target: {annotation: example.com/target}}",
    "lookup": "{pods: {apiVersion: v1, kind: Pod, labelSelector: {app: web}}}",
    "aggregate": "{by: object.metadata.namespace, counts: {failed: object.status.phase == 'Failed'}}",
    "counts": "{failed: object.status.phase == 'Failed'}", "sum": "{replicas: object.spec.replicas}",
    "min": "{replicas: object.spec.replicas}", "max": "{replicas: object.spec.replicas}",
    "metrics": "{runs_total: {type: counter, help: Runs.}}", "rules": "{name: restart, when: …, actions: […]}",
    "label": "{labels: {example.com/key: value}}", "annotate": "{annotations: {example.com/key: value}}",
    "emitEvent": "{type: Normal, reason: Scaled, message: It has been scaled.}", "scale": "{replicas: 3}",
    "actions": "{label: {labels: {example.com/key: value}}}", "rescue": "{label: {labels: {example.com/key: value}}}",
}  # fmt: skip
#: A key with a text, where people write something else -> the text.
_TEXTS = {"cron": "five fields, such as '0 2 * * *'"}
_OF_NAMED = frozenset(["lookup", "params", "inputs", "metrics"])
"""Keys below which each value has a name of the author's own."""


def of_value(kind: str, path: Path, value: Any, annotation: Any) -> str:
    """Return what follows the type that was expected of a value, by the kind of its fault: how to write it, or ''.

    `annotation` is the type at its path.
    """
    names = [str(step) for step in path if isinstance(step, str)]
    key = names[-1] if names else ""
    if kind in _MAPPING:
        return _of_mapping(key, names, annotation)
    if kind == "list_type" and isinstance(value, str | int | float):
        return _of_list(value, annotation)
    if kind == "list_type" and isinstance(value, Mapping) and (listed := _of_list(", ".join(map(str, value)), annotation)):
        return listed
    if kind == "list_type" and isinstance(value, Mapping) and len(value) == 1 and (inner := _named(value, annotation)):
        return inner
    if kind == "string_type" and key in _TEXTS:
        return f"; {_TEXTS[key]}"
    if kind == "string_type" and isinstance(value, list):
        one = len(value) == 1 and isinstance(value[0], str)
        return f": {value[0]}" if one else f": '{json.dumps(value)}'" if len(str(value)) < 60 else ""
    if kind == "int_type" and isinstance(value, str) and value.isdecimal():
        return f": {value}, without quotes"
    return ""


def _of_mapping(key: str, names: list[str], annotation: Any) -> str:
    if len(names) > 1 and names[-2] in _OF_NAMED and key not in ("labels", "annotations"):
        form = _FORMS[names[-2]].partition(": ")[2][:-1]
        return (
            f": a name comes first, as in {names[-2]}: {_FORMS[names[-2]]}"
            if key in ("apiVersion", "kind")
            else f", such as {form}"
        )
    if form := _FORMS.get(key, ""):
        return f", such as {form}"
    if key in ACTIONS:
        annotation = ACTIONS[key].Schema
    required = [str(field.alias) for field in fields_of_type(annotation) if field.is_required()]
    return f" with {', '.join(required)}" if required else ""


def _of_list(value: Any, annotation: Any) -> str:
    """Return a list of one value, where its items are no mappings."""
    items = [get_args(member)[-1] for member in members(annotation) if get_origin(member) is list]
    return "" if any(fields_of_type(item) or get_origin(item) is dict for item in items) else f": [{value}]"


def _named(value: Mapping[Any, Any], annotation: Any) -> str:
    """Return how to write a list of things with a name that stands as a mapping of names; '' where it is none."""
    ((name, inner),) = value.items()
    items = [get_args(member)[-1] for member in members(annotation) if get_origin(member) is list]
    fields = {str(field.alias) for item in items for field in fields_of_type(item)}
    return (
        f", with the name in it: '- name: {name}'"
        if isinstance(inner, Mapping) and "name" in fields and name not in fields
        else ""
    )
