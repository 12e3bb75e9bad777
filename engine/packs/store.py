"""The last good version of every rule pack, and the catalog that they, the feature flags and the parameters make."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.cel import Cel
from engine.errors import Fault, InvalidText, Location
from engine.model.flags import Mode, parse_mode
from engine.model.objects import Object
from engine.packs.catalog import Catalog
from engine.packs.overrides import overridden
from engine.packs.pack import RulePack
from engine.packs.parse import parse_pack
from engine.packs.sources import Text, packs_of_configmap
from engine.packs.wording import found, suggestion

FLAGS, PARAMS = "configmap/rulepack-feature-flags", "configmap/rulepack-params"


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
    """The last version of a text that was looked at, and what its last good one held."""

    text: Text
    packs: Sequence[RulePack] = ()
    faults: Sequence[Fault] = ()


@dataclass(slots=True)
class _Reports:
    packs: dict[str, list[str]] = field(default_factory=dict)
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    warnings: dict[str, list[Fault]] = field(default_factory=dict)

    def of(self, source: str) -> Report:
        return Report(
            source, tuple(self.packs.get(source, ())), tuple(self.faults.get(source, ())), tuple(self.warnings.get(source, ()))
        )


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

    def update(
        self, shipped: Sequence[Text], config_maps: Iterable[Object] = (), flags: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None, resume: str = "",
    ) -> list[Report]:  # fmt: skip
        """Take in everything as it is now; returns a report for each source, and for the flags and the parameters.

        `flags` and `params` are the data of their ConfigMaps, `resume` is an annotation of the latter. A pack of a ConfigMap
        replaces a shipped one of the same name; of two ConfigMaps with a pack of the same name, the first by namespace and name
        has it.
        """
        own = [text for config_map in config_maps for text in packs_of_configmap(config_map)]
        reports = _Reports()
        self._parse([*shipped, *own], reports)
        packs = {**self._named(shipped, reports), **self._named(sorted(own, key=lambda text: text.file), reports)}
        for pack in packs.values():
            reports.packs.setdefault(self._versions[pack.source].text.source, []).append(pack.name)
        self._take_flags(flags or {}, packs, reports)
        modes = {name: self._mode(pack) for name, pack in packs.items()}
        values = self._take_params(params or {}, packs, reports)
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
            reports.faults.setdefault(text.source, []).extend(version.faults)

    def _named(self, texts: Sequence[Text], reports: _Reports) -> dict[str, RulePack]:
        """The packs of these texts by name; a fault for a name that an earlier text has."""
        packs: dict[str, RulePack] = {}
        for text in texts:
            for pack in self._versions[text.file].packs:
                first = packs.setdefault(pack.name, pack)
                if first is not pack:
                    fault = Fault(pack.place, f"pack {pack.name!r} is also in {first.source}, which has it", "another name")
                    reports.faults[text.source].append(fault)
        return packs

    def _mode(self, pack: RulePack) -> Mode:
        """The command line's flag, else the ConfigMap's, else the pack's default."""
        return self._fixed.get(pack.feature_flag) or self._flags.get(pack.feature_flag) or pack.default_mode

    def _take_flags(self, data: Mapping[str, str], packs: Mapping[str, RulePack], reports: _Reports) -> None:
        known = sorted(pack.feature_flag for pack in packs.values())
        flags: dict[str, Mode] = {}
        for name, text in data.items():
            place = Location(f"{FLAGS}/{name}", 1, 1)
            mode = parse_mode(text)
            if mode is None:
                reports.faults.setdefault(FLAGS, []).append(Fault(place, f"{found(text)} is no mode", "Enforce, Audit or Off"))
                mode = self._flags.get(name)
            if mode is not None:
                flags[name] = mode
            if name not in known:
                warning = Fault(place, f"no pack has the feature flag {name!r}", suggestion(name, known))
                reports.warnings.setdefault(FLAGS, []).append(warning)
        for name in self._fixed.keys() - set(known):
            warning = Fault(Location("--feature-flags", 1, 1), f"no pack has the feature flag {name!r}", suggestion(name, known))
            reports.warnings.setdefault(FLAGS, []).append(warning)
        self._flags = flags

    def _take_params(
        self, data: Mapping[str, str], packs: Mapping[str, RulePack], reports: _Reports
    ) -> dict[str, Mapping[str, Any]]:
        """The values of every pack's params: the ConfigMap's where it is good, else what it last was, else the default."""
        for name in data.keys() - packs.keys():
            warning = Fault(Location(f"{PARAMS}/{name}", 1, 1), f"there is no pack {name!r}", suggestion(name, packs))
            reports.warnings.setdefault(PARAMS, []).append(warning)
        values: dict[str, Mapping[str, Any]] = {}
        for name, pack in packs.items():
            last = self._params.get(name, {}) if name in data else {}
            values[name], faults = overridden(pack.params, data.get(name, ""), f"{PARAMS}/{name}", last)
            reports.faults.setdefault(PARAMS, []).extend(faults)
        self._params = values
        return values
