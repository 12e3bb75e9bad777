"""The values of a pack's parameters where a cluster overrides them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.errors import Fault, InvalidText, Location
from engine.packs.jsonschemas import Checker
from engine.packs.pack import Param
from engine.packs.wording import found, suggestion
from engine.packs.yamltext import read_yaml


def overridden(params: Mapping[str, Param], text: str, file: str, last: Mapping[str, Any]) -> tuple[dict[str, Any], list[Fault]]:
    """The value of each parameter, and the faults of the text, a YAML mapping of some of them.

    Where a value has a fault, the parameter keeps the one in `last`, if that still fits, else it has its default.
    """
    kept = {name: last[name] for name, param in params.items() if name in last and not Checker(param.schema).faults(last[name])}
    defaults = {name: param.default for name, param in params.items()}
    try:
        documents = read_yaml(text, lambda line, column: Location(file, line, column))
    except InvalidText as invalid:
        return {**defaults, **kept}, list(invalid.faults)
    if not documents:
        return defaults, []
    document = documents[0]
    if len(documents) > 1 or not isinstance(document.value, dict):
        what = "a second document" if len(documents) > 1 else found(document.value)
        place = documents[-1].locate(())
        return {**defaults, **kept}, [Fault(place, f"{what} stands here", "one mapping of parameters to values")]
    values, faults = dict(defaults), []
    for name, value in document.value.items():
        if name not in params:
            faults.append(Fault(document.locate_key((name,)), f"unknown parameter {name[:60]!r}", suggestion(name, params)))
            continue
        wrong = Checker(params[name].schema).faults(value)
        values[name] = kept.get(name, defaults[name]) if wrong else value
        faults += [Fault(document.locate((name, *fault.path)), fault.message, fault.expected) for fault in wrong]
    return values, faults
