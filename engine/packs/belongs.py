"""Where something belongs that stands where it means nothing: a key of a spec, a value of a param, a mode, a feature flag."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from engine.cel import Path
from engine.model.flags import parse_mode
from engine.model.spec import Spec
from engine.model.text import nearest, suggestion

PARAMETERS = frozenset(["disruptionsPerMinute", "otherNamespaces", "trustedNamespaces"])
"""The params that every pack with targets has (declarations.COMMON)."""
MODES = ("mode", "defaultMode", "featureFlag")
PARAMS_MAP, FLAGS_MAP = "ConfigMap rulepack-params", "ConfigMap rulepack-feature-flags"
_READ_AS_TRUE = "'event': kubectl reads an unquoted `on` as true (YAML 1.1)"
#: A key of Ansible, Kyverno or CI systems, in small letters -> the one of a rule pack.
_OTHERS = {
    "foreach": "loop", "with_items": "loop", "items": "loop", "if": "when", "match": "when", "condition": "when",
    "conditions": "when", "preconditions": "when", "then": "actions", "do": "actions", "tasks": "actions", "steps": "actions",
    "variables": "vars", "context": "lookup", "delay": "for|backoff", "interval": "resync|every", "selector": "labelSelector",
    "matchlabels": "labelSelector", "cron": "schedule", "parameters": "params", "values": "params", "labels": "labelSelector",
    "expr": "when", "expression": "when", "until": "when", "trigger": "event", "validate": "actions", "mutate": "actions",
    "generate": "actions", "run": "actions", "notify": "actions", "handlers": "actions", "ratelimit": "throttle",
    "rate_limit": "throttle", "backofflimit": "retry", "on_error": "rescue", "onerror": "rescue", "catch": "rescue",
    "onfailure": "rescue", "ignore_errors": "rescue", "duration": "for|atMost", "holdfor": "for", "after": "for",
    "uniqueby": "oncePer", "idempotencykey": "oncePer", "validationfailureaction": "mode", "resources": "watch",
    "resource": "watch", "rbac": "targets", "permissions": "targets", "grants": "targets", "timezone": "timeZone",
    "tz": "timeZone", "maxretries": "limit", "enabled": "mode", "disabled": "mode", "dryrun": "mode", "description": "help",
    "groupby": "by", "group_by": "by", "set": "value", "inc": "value", "body": "json", "msg": "message", "severity": "type",
    "count": "replicas", "to": "replicas", "timeout": "atMost", "seconds": "atMost", "for": "atMost", "lookups": "lookup",
    "for_each": "loop", "with": "vars", "let": "vars", "locals": "vars", "set_fact": "vars", "times": "limit",
    "attempts": "limit", "retries": "limit", "per": "every", "period": "every", "at": "cron",
}  # fmt: skip
_OF_NAMESPACE = "kubernetes.io/metadata.name"
#: A key of RBAC or of a resource -> that of a kind.
_OF_KIND = {
    "apigroups": "'apiVersion', such as apps/v1",
    "apigroup": "'apiVersion', such as apps/v1",
    "group": "'apiVersion', such as apps/v1",
    "version": "'apiVersion', such as apps/v1",
    "resources": "'kind', such as Pod",
    "resource": "'kind', such as Pod",
    "kinds": "'kind'; several kinds are a list of mappings",
}
#: A key of a rule that says when it acts, where several keys here do -> these.
_OF_RULE = {
    "within": "'for', how long the conditions must have held, or throttle: {every: 5m}",
    "timeout": "retry: {timeout: 1h}",
    "cooldown": "throttle: {every: 1h}",
    "debounce": "throttle: {every: 10s}",
    "every": "throttle: {every: 1h}, resync, or schedule: {cron: …}",
    "enabled": "mode: Disabled, or no mode",
    "disabled": "mode: Disabled",
    "dryrun": "mode: Audit",
    "budget": "limits: {maxTargets: 5}",
    "once": "oncePer: object.metadata.uid",
    "exclude": "'when' with a condition such as !(object.metadata.name in ['a'])",
    "labels": "actions: [{label: {labels: {example.com/key: value}}}]",
    "annotations": "actions: [{annotate: {annotations: {example.com/key: value}}}]",
    "retries": "retry: {limit: 5}",
    "delay": "retry: {backoff: 2s}, or 'for', how long the conditions must have held",
    "operations": "event: Change or Delete",
    "operation": "event: Change or Delete",
    "register": "it in the action whose result it names",
    "unless": "'when' with !(condition)",
}
#: A key of what selects objects elsewhere -> what to write in `watch`.
_SELECTED = {
    "namespace": f"namespaceSelector: {{matchLabels: {{{_OF_NAMESPACE}: NAME}}}}",
    "namespaces": f"namespaceSelector: {{matchExpressions: [{{key: {_OF_NAMESPACE}, operator: In, values: [NAME]}}]}}",
    "name": "a condition, such as object.metadata.name == 'NAME'",
    "names": "a condition, such as object.metadata.name in ['NAME']",
}
_DEEPEST = 3
"""Keys of a path: deeper ones have names that many mappings have."""


def of_key(key: str, known: Collection[str], model: type[Spec], above: Path | None) -> str:
    """Return what was expected in place of a key that is unknown in a mapping: one of the keys `known` there, or another path.

    `above` is the path of the mapping in a document of this model; None where the model is that of a part of a document.
    """
    if key == "true" and "event" in known:
        return _READ_AS_TRUE
    if {"labelSelector", "namespaceSelector"} <= set(known) and (instead := _SELECTED.get(key.lower())):
        return instead
    if {"oncePer", "actions"} <= set(known) and (instead := _OF_RULE.get(key.lower())):
        return instead
    if "/" in key and (part := next((each for each in ("labels", "annotations") if each in known), "")):
        return f"it below {part}: {part}: {{{key}: …}}"
    if {"apiVersion", "kind"} <= set(known) and (meant := _OF_KIND.get(key.lower())):
        return meant
    if meant := next((each for each in _OTHERS.get(key.lower(), "").split("|") if each in known), ""):
        return repr(meant)
    return suggestion(key, known) if above is None else _path_of(key, known, model, above)


def _path_of(key: str, known: Collection[str], model: type[Spec], above: Path) -> str:
    """Return at which path a document has a key; one of `known` where it has it at none."""
    paths = _paths(model)
    if nearest(key, known):
        return suggestion(key, known)
    if path := _nearest(key, paths, above):
        return f"it as {path}"
    if key in PARAMETERS and "params" in paths:
        return "it as spec.params." + key if "shipped" in paths else f"it in {PARAMS_MAP}, under the name of the pack"
    near = "" if above else nearest(key, paths)
    return f"{_nearest(near, paths, above)} (did you mean that?)" if near else suggestion(key, known)


def of_param(name: str, params: Collection[str]) -> str:
    """Return what was expected in place of a value of a param that the pack does not have."""
    if name in MODES:
        return f"the mode in spec.mode of its RulePack, or a flag in {FLAGS_MAP}"
    if name in PARAMETERS:
        return "no such value: a pack without targets has no such parameter"
    return suggestion(name, params)


def of_text(text: object) -> str:
    """Return what was expected in place of what is no mapping of params to values."""
    is_mode = isinstance(text, str | bool) and parse_mode(str(text)) is not None
    expected = "one mapping of parameters to values"
    return f"{expected}; a mode belongs in spec.mode of its RulePack, or in {FLAGS_MAP}" if is_mode else expected


def of_declaration(name: str, value: object) -> str:
    """Return what was expected in place of a value where an own pack declares its params."""
    if name in PARAMETERS:
        return f"it in {PARAMS_MAP}, under the name of the pack: here a pack declares params of its own"
    if name in MODES:
        return f"it as spec.{name}"
    shown = f", such as {{default: {value}}}" if isinstance(value, int | float) and not isinstance(value, bool) else ""
    return f"a mapping: a JSON Schema with a default{shown}"


def _nearest(key: str, paths: Mapping[str, Collection[str]], above: Path) -> str:
    """Return the path nearest to the root at which a document has a key; labels and the like of an object only near there."""
    return next((path for path in paths.get(key, ()) if len(above) <= 1 or not path.startswith("metadata.")), "")


@cache
def _paths(model: type[Spec]) -> Mapping[str, Collection[str]]:
    """Return the paths of each key of the mappings in a document, but for its own keys, those nearest to the root first."""
    paths: dict[str, list[str]] = {}
    level: list[tuple[str, Any]] = [("", model)]
    for depth in range(_DEEPEST):
        below: list[tuple[str, Any]] = []
        for path, annotation in level:
            for field in fields_of_type(annotation):
                if field.json_schema_extra:  # a spelling that is no longer shown
                    continue
                here = f"{path}.{field.alias}" if path else str(field.alias)
                below += _nested(here, field.annotation)
                if depth:
                    paths.setdefault(str(field.alias), []).append(here)
        level = below
    return paths


def _nested(path: str, annotation: Any) -> Iterator[tuple[str, Any]]:
    """Yield the type of a key, or of the items of its list, each with its path."""
    for member in members(annotation):
        if get_origin(member) is list:
            yield f"{path}[]", get_args(member)[-1]
        else:
            yield path, member


def fields_of_type(annotation: Any) -> list[FieldInfo]:
    """Return the fields of a type's alternatives that are mappings."""
    return [field for member in members(annotation) for field in getattr(member, "model_fields", {}).values()]


def members(annotation: Any) -> Iterator[Any]:
    """Yield the alternatives of a type, without what annotates them."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from members(get_args(annotation)[0])
    elif origin in (Union, UnionType):
        for member in get_args(annotation):
            yield from members(member)
    else:
        yield annotation
