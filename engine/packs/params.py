"""The values of a pack's params on a cluster: its defaults, and what ConfigMap `rulepack-params` and RulePacks override."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

from engine.errors import Fault, InvalidText, Location
from engine.model.text import found, shown
from engine.packs import belongs
from engine.packs.document import Document
from engine.packs.jsonschemas import Checker
from engine.packs.pack import Param
from engine.packs.yamltext import read_yaml


class Values(NamedTuple):
    """The value of each param, the faults of what was given, whether all of it could be read, and the params it was for."""

    values: Mapping[str, Any]
    faults: tuple[Fault, ...] = ()
    read: bool = True
    given: frozenset[str] = frozenset()


def defaults(params: Mapping[str, Param], shared: Mapping[str, Any] | None = None) -> Values:
    """Return the values where nothing is overridden: those for all packs, else the params' own defaults."""
    shared = shared or {}
    return Values({name: shared.get(name, param.default) for name, param in params.items()}, given=frozenset(shared))


def of_text(params: Mapping[str, Param], below: Values, last: Mapping[str, Any], text: str, file: str) -> Values:
    """Return the values after those in a text, a YAML mapping of some of them; `below` and `last` are those of `overridden`."""
    try:
        documents = read_yaml(text, partial(Location, file))
    except InvalidText as invalid:
        return Values(_kept(params, below, last), (*below.faults, *invalid.faults), False, below.given)
    if not documents:
        return below
    document = documents[0]
    if len(documents) > 1 or not isinstance(document.value, dict):
        what = "a second document" if len(documents) > 1 else found(document.value)
        fault = Fault(documents[-1].locate(()), f"{what} stands here", belongs.of_text(document.value))
        return Values(_kept(params, below, last), (*below.faults, fault), False, below.given)
    return overridden(params, below, last, document)


def overridden(params: Mapping[str, Param], below: Values, last: Mapping[str, Any], document: Document) -> Values:
    """Return the values after those of a document, a mapping of some of them, in place of those `below`.

    Where a value has a fault, the param keeps the one in `last`, if that still fits, else the one below. A name that is no
    param is a fault, and takes nothing away from those that are.
    """
    kept, values, faults, read = _kept(params, below, last), dict(below.values), list(below.faults), below.read
    for name, value in document.value.items():
        if name not in params:
            expected = belongs.of_param(str(name), params)
            faults.append(Fault(document.locate_key((name,)), f"unknown parameter {shown(name, 60)}", expected))
            continue
        checker = Checker(params[name].schema)
        wrong = checker.faults(value)
        values[name], read = kept[name] if wrong else checker.typed(value), read and not wrong
        faults += [Fault(document.locate((name, *fault.path)), fault.message, fault.expected) for fault in wrong]
    return Values(values, tuple(faults), read, below.given | frozenset(map(str, document.value)))


def _kept(params: Mapping[str, Param], below: Values, last: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that params keep where what is given for them cannot be read."""
    fitting = {
        name: last[name] for name, param in params.items() if name in last and not Checker(param.schema).faults(last[name])
    }
    return {**below.values, **fitting}
