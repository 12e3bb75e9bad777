"""Builders of small rule packs, as texts."""

from __future__ import annotations

import json
from typing import Any

from engine.cel import backend
from engine.errors import InvalidText
from engine.packs.pack import RulePack
from engine.packs.parse import parse_pack

CEL = backend()


def rule(name: str = "first", **fields: Any) -> dict[str, Any]:
    """A rule that annotates the watched object, with further fields."""
    return {"name": name, "actions": [{"annotate": {"annotations": {"a": "b"}}}], **fields}


def pack(name: str = "example", **fields: Any) -> str:
    """A pack with one rule that watches ConfigMaps, with further fields of `spec`, as JSON (which is YAML)."""
    spec = {"watch": {"apiVersion": "v1", "kind": "ConfigMap"}, "rules": [rule()], **fields}
    return json.dumps({"apiVersion": "rules.mlops.dev/v1alpha1", "kind": "RulePack", "metadata": {"name": name}, "spec": spec})


def parsed(text: str) -> RulePack:
    """The only pack of a text."""
    (found,) = parse_pack(text, "pack.yaml", CEL)
    return found


def faults(text: str) -> list[str]:
    """The faults of a text, without the file's name; none where it is good."""
    try:
        parse_pack(text, "pack.yaml", CEL)
    except InvalidText as invalid:
        return [str(fault).removeprefix("pack.yaml:") for fault in invalid.faults]
    return []
