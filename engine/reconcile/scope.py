"""The variables that expressions of a pack see for one object."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from engine.model.objects import Object, annotations_of
from engine.packs.catalog import Catalog
from engine.packs.pack import RulePack


def variables_of(catalog: Catalog, pack: RulePack, obj: Object, old: Object | None, now: float) -> Mapping[str, Any]:
    """What a pack's expressions see of an object at a time (seconds since the epoch); `oldObject` is null at first."""
    inputs: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for name, spec in pack.inputs.items():
        text = annotations_of(obj).get(spec.annotation)
        value, errors[name] = (spec.default, "") if text is None else spec.parse(text)
        if not errors[name]:
            inputs[name] = value
    return {
        "object": obj,
        "oldObject": old,
        "params": catalog.params.get(pack.name, {}),
        "flags": catalog.flags,
        "inputs": inputs,
        "inputErrors": errors,
        "now": datetime.fromtimestamp(now, UTC),
    }
