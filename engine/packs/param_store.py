"""The values of every pack's params, and the last good ones of each: from RulePacks, from a ConfigMap, and the defaults."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from engine.errors import Fault, Location
from engine.model.merge import canonical
from engine.model.text import nearest, suggestion
from engine.packs import belongs
from engine.packs.document import ObjectDocument
from engine.packs.pack import Param, RulePack
from engine.packs.params import Values, defaults, of_text, overridden
from engine.packs.sources import Settable
from engine.packs.versions import Reference, Reports

PARAMS = "configmap/rulepack-params"
SHARED = "_all"
"""The key of the parameters' ConfigMap with values for every pack that has a parameter of that name."""


class ParamStore:
    """Keeps the last good values. `elsewhere` is what may be set for packs of other operators, of which nothing is said.

    `given` has by pack the params that somebody has set, `unread` the packs of which a value could never be read.
    """

    def __init__(self, elsewhere: Settable) -> None:
        self.given: dict[str, frozenset[str]] = {}
        self.unread: set[str] = set()
        self._elsewhere = elsewhere
        self._values: dict[str, Mapping[str, Any]] = {}
        self._last_shared: Mapping[str, Any] = {}
        self._shared_unread = False

    def take(
        self, data: Mapping[str, str], packs: Mapping[str, RulePack], references: Mapping[str, Reference], reports: Reports,
        refused: Collection[str],
    ) -> dict[str, Mapping[str, Any]]:  # fmt: skip
        """Return the values of every pack's params: the RulePack's, else the ConfigMap's, else the last one, else the default.

        A pack of which a param has a value that could never be read is Off: the default may be what somebody meant to forbid.
        """
        keys = {pack.config_key for pack in packs.values()}
        shared = self._shared(data.get(SHARED, ""), packs, reports)
        known = {param for pack in packs.values() for param in pack.params} | belongs.PARAMETERS
        for name in data.keys() - keys - {SHARED} - self._elsewhere.packs:
            is_param = name in known and not nearest(name, keys)
            expected = f"it in the text of a pack's name, or of {SHARED}" if is_param else suggestion(name, keys)
            warning = Fault(Location(f"{PARAMS}/{name}", 1, 1), f"there is no pack {name!r}", expected)
            if name in refused:
                warning = replace(warning, message=f"pack {name!r} is refused: these count once it is in force", expected="")
            reports.warnings[PARAMS].append(warning)
        values: dict[str, Mapping[str, Any]] = {}
        given: dict[str, frozenset[str]] = {}
        for name, pack in packs.items():
            key, reference = pack.config_key, references.get(name)
            said = reference.said if reference else None
            last = self._values.get(name, {}) if key in data or (said and said.params) else {}
            below = defaults(pack.params, shared)
            own = of_text(pack.params, below._replace(given=frozenset()), last, data.get(key, ""), f"{PARAMS}/{key}")
            found_values = own._replace(given=own.given | below.given)
            reports.faults[PARAMS] += found_values.faults
            if reference and said and said.params:
                document = ObjectDocument(said.params, reference.obj.file, ("spec", "params"))
                above = overridden(pack.params, found_values._replace(faults=()), last, document)
                for param in _overruled(pack, said.params, found_values, above):
                    where = Location(f"{PARAMS}/{key if param in own.given else SHARED}", 1, 1)
                    reports.warnings[PARAMS].append(Fault(where, f"{param} in {reference.obj.source} goes before it"))
                found_values = above
            values[name] = dict(found_values.values)
            given[name] = found_values.given | (frozenset() if found_values.read else self.given.get(name, frozenset()))
            never_read = name not in self._values or name in self.unread
            read = found_values.read and not self._shared_unread
            (self.unread.add if never_read and not read else self.unread.discard)(name)
        self._values, self.given = values, given
        return values

    def _shared(self, text: str, packs: Mapping[str, RulePack], reports: Reports) -> Mapping[str, Any]:
        """Return the values for every pack that has a parameter of that name; one that does not fit all of them is for none."""
        by_name: dict[str, list[Mapping[str, Any]]] = {}
        for pack in packs.values():
            for name, param in pack.params.items():
                wanted = by_name.setdefault(name, [])
                if param.schema not in wanted:
                    wanted.append(param.schema)
        schemas: dict[str, Mapping[str, Any]] = {key: {} for key in self._elsewhere.params}
        schemas |= {name: {"allOf": each} for name, each in by_name.items()}
        params = {name: Param(name, schema, None) for name, schema in schemas.items()}
        given = of_text(params, defaults(params), self._last_shared, text, f"{PARAMS}/{SHARED}")
        reports.faults[PARAMS] += given.faults
        self._shared_unread = not given.read
        self._last_shared = {name: value for name, value in given.values.items() if value is not None}
        return self._last_shared


def _overruled(pack: RulePack, said: Collection[str], below: Values, above: Values) -> list[str]:
    """Return the params that a ConfigMap gives, and that a RulePack has `said` otherwise."""
    both = pack.params.keys() & below.given & set(said)
    return sorted(param for param in both if canonical(below.values[param]) != canonical(above.values[param]))
