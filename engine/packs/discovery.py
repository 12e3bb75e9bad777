"""The values that params have by what is in the cluster, where nobody has set them (`discover`)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Set
from dataclasses import replace
from typing import Any

from engine.cel import Scope
from engine.errors import EvaluationError, Fault, Location
from engine.model.flags import Mode
from engine.model.objects import SECRET, Object, metadata
from engine.packs.catalog import Catalog
from engine.packs.jsonschemas import Checker
from engine.packs.pack import Discovery, RulePack
from engine.packs.param_store import PARAMS

Found = Callable[[Discovery], Collection[Object]]
"""Gives the objects of the cluster that a discovery is about."""


def discoveries(catalog: Catalog) -> list[Discovery]:
    """Return what is to be looked for in the cluster: for the params of packs that are not Off and that nobody has set."""
    return [discovery for pack, names in _undecided(catalog) for name, discovery in pack.discover.items() if name in names]


def discovered(catalog: Catalog, found: Found) -> tuple[Catalog, list[Fault]]:
    """Return the catalog with the values that the cluster gives, and a fault for each that it cannot give.

    Where there is no object, or no value that fits, the param keeps its default. It is the same catalog where no value differs.
    """
    faults: list[Fault] = []
    values: dict[str, Mapping[str, Any]] = dict(catalog.params)
    for pack, names in _undecided(catalog):
        for name in sorted(names):
            objects = found(pack.discover[name])
            if not objects:
                continue
            try:
                value, checker = _value(pack.discover[name], objects), Checker(pack.params[name].schema)
                why = next((fault.message for fault in checker.faults(value)), "")
            except EvaluationError as error:
                value, why = None, str(error)
            if why:
                why = "hidden, since it may quote a Secret" if pack.discover[name].kind.kind == SECRET.kind else why
                message = f"the value of {name!r} that the cluster gives is left out: {why}"
                faults.append(Fault(Location(f"{PARAMS}/{pack.config_key}", 1, 1), message, "a value here"))
            else:
                values[pack.identity] = {**values.get(pack.identity, {}), name: checker.typed(value)}
    return (catalog if values == catalog.params else replace(catalog, params=values)), faults


def _undecided(catalog: Catalog) -> Iterable[tuple[RulePack, Set[str]]]:
    packs = ((pack, catalog.undecided.get(pack.identity)) for pack in catalog.packs.values())
    return [(pack, names) for pack, names in packs if names and catalog.mode(pack) is not Mode.OFF]


def _value(discovery: Discovery, objects: Collection[Object]) -> Any:
    """Return the value that the oldest of some objects gives, or all by their keys. Raises EvaluationError."""
    scopes = [Scope({"object": obj}) for obj in sorted(objects, key=_age)]
    if discovery.key is None:
        return discovery.value.evaluate(scopes[0])
    values = {discovery.key.evaluate(scope): discovery.value.evaluate(scope) for scope in reversed(scopes)}
    if other := next((key for key in values if not isinstance(key, str)), None):
        raise EvaluationError(f"{discovery.key.source} gives {other!r}, and a key is a text")
    return values


def _age(obj: Object) -> tuple[str, str, str]:
    """Return what puts objects in an order that nobody can change who makes one later: the oldest first."""
    meta = metadata(obj)
    return str(meta.get("creationTimestamp", "")), str(meta.get("namespace", "")), str(meta.get("name", ""))
