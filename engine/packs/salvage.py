"""What is still worth compiling of a pack whose keys or types have faults, so that its expressions are checked as well."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from engine.packs.schema import API_VERSION, PackSpec, RulePackSpec, RuleSpec

_NEEDED = ("name", "actions", "loop", "loopVar", "vars", "lookup")  # the last four give names to expressions
_BODY_KEYS = [field.alias for field in PackSpec.model_fields.values()]
_RULE_KEYS = [str(field.alias) for field in RuleSpec.model_fields.values()]


def salvaged(raw: dict[str, Any], error: ValidationError) -> RulePackSpec | None:
    """The spec without what `error` complains of, each thing left at its path; None where nothing certain can be said.

    A rule that cannot do without what is wrong in it becomes one that does nothing. Where what is wrong declares names
    (params, targets, inputs, metrics), faults of the rest could be mere consequences.
    """
    body = raw.get("spec")
    rules = body.get("rules") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not isinstance(rules, list):
        return None
    body = {key: value for key, value in body.items() if key in _BODY_KEYS}
    rules = [dict(rule) if isinstance(rule, dict) else _nothing(index) for index, rule in enumerate(rules)]
    metadata, watch = raw.get("metadata"), body.get("watch")
    for detail in error.errors(include_url=False):
        match detail["loc"]:
            case ("spec", "rules", int(index), *_):
                rules[index] = _without(rules[index], detail, index)
            case ("metadata", *_):
                metadata = {"name": "x"}
            case ("spec", "watch", *_):
                watch = {"apiVersion": "v1", "kind": "X"}
            case ("spec", str(key), *_) if key in ("params", "targets", "inputs", "metrics", "rules"):
                return None
            case ("spec", str(key), *_):
                body.pop(key, None)
    body |= {"watch": watch, "rules": rules}
    try:
        return RulePackSpec.model_validate({"apiVersion": API_VERSION, "kind": "RulePack", "metadata": metadata, "spec": body})
    except ValidationError:
        return None


def _without(rule: dict[str, Any], detail: ErrorDetails, index: int) -> dict[str, Any]:
    key, *deeper = [str(step) for step in detail["loc"][3:]] or ["name"]
    unknown = detail["type"] == "extra_forbidden" and not deeper
    meant = get_close_matches(key, _RULE_KEYS, n=1) if unknown else [key]
    if set(meant) & set(_NEEDED):
        return _nothing(index)
    return {name: value for name, value in rule.items() if name != key}


def _nothing(index: int) -> dict[str, Any]:
    return {"name": f"x-{index}", "actions": [{"annotate": {"annotations": {}}}]}
