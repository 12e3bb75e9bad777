"""The last good version of every rule pack, and the catalog that they, the feature flags and the parameters make."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from engine.cel import Cel
from engine.errors import Fault, InvalidText, Location
from engine.model.flags import Mode, parse_mode
from engine.model.objects import Object
from engine.model.text import found, shown, suggestion
from engine.packs.catalog import Catalog
from engine.packs.jsonschemas import Checker
from engine.packs.pack import Param, RulePack
from engine.packs.parse import parse_pack
from engine.packs.sources import Text, packs_of_configmap
from engine.packs.yamltext import read_yaml

FLAGS, PARAMS = "configmap/rulepack-feature-flags", "configmap/rulepack-params"
SHARED = "_all"
"""The key of the parameters' ConfigMap with values for every pack that has a parameter of that name."""


@dataclass(frozen=True, slots=True)
class Report:
    """What became of one source: the packs of it that are in force, its faults, and what is odd but no fault.

    Where there are faults, the packs in force are those of its last good version.
    """

    source: str
    packs: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()
    warnings: tuple[Fault, ...] = ()


@dataclass(slots=True)
class _Version:
    """The last version of a text that was read, and what its last good one held."""

    text: Text
    packs: Sequence[RulePack] = ()
    faults: Sequence[Fault] = ()


class _Reports:
    """What is to be reported of each source."""

    def __init__(self) -> None:
        self.packs: defaultdict[str, list[str]] = defaultdict(list)
        self.faults: defaultdict[str, list[Fault]] = defaultdict(list)
        self.warnings: defaultdict[str, list[Fault]] = defaultdict(list)

    def of(self, source: str) -> Report:
        return Report(source, tuple(self.packs[source]), tuple(self.faults[source]), tuple(self.warnings[source]))


class PackStore:
    """Keeps what was good. `flags` are those of the command line, which go before those of the ConfigMap.

    `catalog` is replaced, never changed, and only where something differs; a pack whose text did not change stays the
    same object.
    """

    def __init__(self, cel: Cel, flags: Mapping[str, Mode] | None = None) -> None:
        self.catalog = Catalog()
        self._cel = cel
        self._fixed = dict(flags or {})
        self._versions: dict[str, _Version] = {}
        self._flags: dict[str, Mode] = {}
        self._params: dict[str, Mapping[str, Any]] = {}
        self._last_shared: Mapping[str, Any] = {}
        self._shared_unread: bool | None = None  # whether those of all packs could never be read; None: not tried yet
        self._unread: set[str] = set()  # packs whose params could never be read

    def update(
        self, shipped: Sequence[Text], config_maps: Iterable[Object] = (), flags: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None, resume: str = "",
    ) -> list[Report]:  # fmt: skip
        """Take in everything as it is now; return a report for each source, and for the flags and the parameters.

        `flags` and `params` are the data of their ConfigMaps, `resume` is an annotation of the latter. A pack of a ConfigMap
        replaces a shipped one of the same name; of two ConfigMaps with a pack of the same name, the first by namespace and name
        has it.
        """
        own = [text for config_map in config_maps for text in packs_of_configmap(config_map)]
        reports = _Reports()
        self._parse([*shipped, *own], reports)
        packs = {**self._named(shipped, reports), **self._named(sorted(own, key=lambda text: text.file), reports)}
        for pack in packs.values():
            reports.packs[self._versions[pack.source].text.source].append(pack.name)
        self._take_flags(flags or {}, packs, reports)
        values = self._take_params(params or {}, packs, reports)
        off = packs if self._shared_unread else self._unread
        modes = {name: Mode.OFF if name in off else self._mode(pack) for name, pack in packs.items()}
        old = self.catalog
        if (dict(old.packs), dict(old.modes), dict(old.params), old.resume) != (packs, modes, values, resume):
            self.catalog = Catalog(packs, modes, values, resume)
        sources = dict.fromkeys(text.source for text in [*shipped, *own])
        return [reports.of(source) for source in (*sources, FLAGS, PARAMS)]

    def _parse(self, texts: Sequence[Text], reports: _Reports) -> None:
        """Parse what has changed; a version with faults leaves the packs of the last good one."""
        before = self._versions
        self._versions = {}
        for text in texts:
            version = before.get(text.file) or _Version(Text("", "", ""))
            self._versions[text.file] = version
            if version.text != text:
                version.text = text
                try:
                    if text.faults:
                        raise InvalidText(text.faults)
                    version.packs, version.faults = parse_pack(text.text, text.file, self._cel), ()
                except InvalidText as invalid:
                    version.faults = invalid.faults
            reports.faults[text.source] += version.faults

    def _named(self, texts: Sequence[Text], reports: _Reports) -> dict[str, RulePack]:
        """Return the packs of these texts by name; add a fault for a name that an earlier text has."""
        packs: dict[str, RulePack] = {}
        for text in texts:
            for pack in self._versions[text.file].packs:
                first = packs.setdefault(pack.name, pack)
                if first is not pack:
                    message = f"pack {pack.name!r} is also in {first.source}, which has it"
                    reports.faults[text.source].append(Fault(pack.location, message, "another name"))
        return packs

    def _mode(self, pack: RulePack) -> Mode:
        """Return the command line's flag, else the ConfigMap's, else the pack's default."""
        return self._fixed.get(pack.feature_flag) or self._flags.get(pack.feature_flag) or pack.default_mode

    def _take_flags(self, data: Mapping[str, str], packs: Mapping[str, RulePack], reports: _Reports) -> None:
        flags: dict[str, Mode] = {}
        for name, text in data.items():
            mode = parse_mode(text)
            if mode is None:
                fault = Fault(Location(f"{FLAGS}/{name}", 1, 1), f"{found(text)} is no mode", "Enforce, Audit or Off")
                reports.faults[FLAGS].append(fault)
                mode = self._flags.get(name, Mode.OFF)  # a switch that cannot be read must not start anything
            flags[name] = mode
        known = sorted(pack.feature_flag for pack in packs.values())
        given = [(f"{FLAGS}/{name}", name) for name in data] + [("--feature-flags", name) for name in self._fixed]
        for source, name in given:
            if name not in known:
                message = f"no pack has the feature flag {name!r}"
                reports.warnings[FLAGS].append(Fault(Location(source, 1, 1), message, suggestion(name, known)))
        self._flags = flags

    def _take_params(
        self, data: Mapping[str, str], packs: Mapping[str, RulePack], reports: _Reports
    ) -> dict[str, Mapping[str, Any]]:
        """Return the values of every pack's params: the ConfigMap's where it is good, else what it last was, else the default.

        A pack of which a param has a value that could never be read is Off: the default may be what somebody meant to forbid.
        """
        shared = self._shared(data.get(SHARED, ""), packs, reports)
        for name in data.keys() - packs.keys() - {SHARED}:
            warning = Fault(Location(f"{PARAMS}/{name}", 1, 1), f"there is no pack {name!r}", suggestion(name, packs))
            reports.warnings[PARAMS].append(warning)
        values: dict[str, Mapping[str, Any]] = {}
        for name, pack in packs.items():
            last = self._params.get(name, {}) if name in data else {}
            params = {key: replace(param, default=shared.get(key, param.default)) for key, param in pack.params.items()}
            values[name], faults, read = overridden(params, data.get(name, ""), f"{PARAMS}/{name}", last)
            reports.faults[PARAMS] += faults
            never_read = name not in self._params or name in self._unread
            (self._unread.add if never_read and not read else self._unread.discard)(name)
        self._params = values
        return values

    def _shared(self, text: str, packs: Mapping[str, RulePack], reports: _Reports) -> Mapping[str, Any]:
        """Return the values for every pack that has a parameter of that name; one that does not fit all of them is for none."""
        by_name: dict[str, list[Param]] = {}
        for pack in packs.values():
            for name, param in pack.params.items():
                by_name.setdefault(name, []).append(param)
        params = {name: Param(name, {"allOf": [each.schema for each in same]}, None) for name, same in by_name.items()}
        values, faults, read = overridden(params, text, f"{PARAMS}/{SHARED}", self._last_shared)
        reports.faults[PARAMS] += faults
        self._shared_unread = not read and self._shared_unread is not False
        self._last_shared = {name: value for name, value in values.items() if value is not None}
        return self._last_shared


def overridden(
    params: Mapping[str, Param], text: str, file: str, last: Mapping[str, Any]
) -> tuple[dict[str, Any], list[Fault], bool]:
    """Return the value of each parameter, the faults of the text, a YAML mapping of some of them, and whether all were read.

    Where a value has a fault, the parameter keeps the one in `last`, if that still fits, else it has its default. A name that
    is no parameter is a fault, and takes nothing away from those that are.
    """
    defaults = {name: param.default for name, param in params.items()}
    kept = {name: last[name] for name, param in params.items() if name in last and not Checker(param.schema).faults(last[name])}
    kept = {**defaults, **kept}
    try:
        documents = read_yaml(text, partial(Location, file))
    except InvalidText as invalid:
        return kept, list(invalid.faults), False
    if not documents:
        return defaults, [], True
    document = documents[0]
    if len(documents) > 1 or not isinstance(document.value, dict):
        what = "a second document" if len(documents) > 1 else found(document.value)
        return kept, [Fault(documents[-1].locate(()), f"{what} stands here", "one mapping of parameters to values")], False
    values, faults, read = dict(defaults), [], True
    for name, value in document.value.items():
        if name not in params:
            faults.append(Fault(document.locate_key((name,)), f"unknown parameter {shown(name, 60)}", suggestion(name, params)))
            continue
        wrong = Checker(params[name].schema).faults(value)
        values[name], read = kept[name] if wrong else value, read and not wrong
        faults += [Fault(document.locate((name, *fault.path)), fault.message, fault.expected) for fault in wrong]
    return values, faults, read
