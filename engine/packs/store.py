"""The last good version of every rule pack, and the catalog that they, the feature flags and the parameters make."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.cel import Cel
from engine.errors import Fault, InvalidText, Location
from engine.model.flags import STRICTNESS, Mode, parse_mode
from engine.model.objects import Object
from engine.model.text import found, suggestion
from engine.packs.catalog import Catalog
from engine.packs.document import ObjectDocument
from engine.packs.pack import Param, RulePack
from engine.packs.params import defaults, of_text, overridden
from engine.packs.parse import parse_object, parse_pack, parse_reference
from engine.packs.schema import ReferenceSpec
from engine.packs.sources import PackObject, Text, packs_of_configmap

FLAGS, PARAMS = "configmap/rulepack-feature-flags", "configmap/rulepack-params"
SHARED = "_all"
"""The key of the parameters' ConfigMap with values for every pack that has a parameter of that name."""


@dataclass(frozen=True, slots=True)
class Report:
    """What became of one source: the packs of it that are in force, its faults, and what is odd but no fault.

    Where there are faults, the packs in force are those of its last good version. `generation` is that version's, of an object
    of kind RulePack; None where none is in force. `note` says why another mode is in force than is written there. `text` is the
    source of the pack that a reference stands for: its faults are those of the reference too.
    """

    source: str
    packs: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()
    warnings: tuple[Fault, ...] = ()
    generation: int | None = None
    note: str = ""
    text: str = ""


@dataclass(slots=True)
class _Version:
    """The last version that was read of a text or an object, and what its last good one held."""

    read: Text | PackObject | None = None
    packs: Sequence[RulePack] = ()
    reference: ReferenceSpec | None = None
    faults: Sequence[Fault] = ()
    generation: int | None = None

    def take(self, given: Text | PackObject, cel: Cel) -> None:
        """Read what is given, unless it is what was read last."""
        if self.read == given:
            return
        self.read = given
        try:
            if isinstance(given, Text):
                if given.faults:
                    raise InvalidText(given.faults)
                self.packs = parse_pack(given.text, given.file, cel)
            elif given.reference:
                self.reference, self.packs = parse_reference(given), ()
            else:
                self.reference, self.packs = None, [parse_object(given, cel)]
            self.faults, self.generation = (), getattr(given, "generation", None)
        except InvalidText as invalid:
            self.faults = invalid.faults


class _Reports:
    """What is to be reported of each source."""

    def __init__(self) -> None:
        self.packs: defaultdict[str, list[str]] = defaultdict(list)
        self.faults: defaultdict[str, list[Fault]] = defaultdict(list)
        self.warnings: defaultdict[str, list[Fault]] = defaultdict(list)
        self.generations: dict[str, int | None] = {}
        self.notes: dict[str, str] = {}
        self.texts: dict[str, str] = {}

    def of(self, source: str) -> Report:
        text = self.texts.get(source, "")
        faults = [*self.faults[source], *(self.faults[text] if text else ())]
        return Report(
            source, tuple(self.packs[source]), tuple(faults), tuple(self.warnings[source]), self.generations.get(source),
            self.notes.get(source, ""), text,
        )  # fmt: skip


class PackStore:
    """Keeps what was good. `flags` are those of the command line, which go before those of the ConfigMap.

    `catalog` is replaced, never changed, and only where something differs; a pack whose text did not change stays the
    same object. `shipped` names the packs that come with the operator, `read` is all that was read last.
    """

    def __init__(self, cel: Cel, flags: Mapping[str, Mode] | None = None) -> None:
        self.catalog, self.shipped = Catalog(), frozenset[str]()
        self.read: Sequence[Text | PackObject] = ()
        self._cel = cel
        self._fixed = dict(flags or {})
        self._versions: dict[str, _Version] = {}
        self._flags: dict[str, Mode] = {}
        self._params: dict[str, Mapping[str, Any]] = {}
        self._given: dict[str, frozenset[str]] = {}  # by pack, the params that somebody has set
        self._last_shared: Mapping[str, Any] = {}
        self._shared_unread = False
        self._unread: set[str] = set()  # packs whose params could never be read

    def update(
        self, shipped: Sequence[Text], config_maps: Iterable[Object] = (), flags: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None, resume: str = "", objects: Iterable[Object] = (),
    ) -> list[Report]:  # fmt: skip
        """Take in everything as it is now; return a report for each source, and for the flags and the parameters.

        `flags` and `params` are the data of their ConfigMaps, `resume` is an annotation of the latter, `objects` are of kind
        RulePack. Of packs of one name a RulePack goes before one of a ConfigMap, and that before a shipped one; of two in
        ConfigMaps, the first by namespace and name has it.
        """
        own = sorted((text for config_map in config_maps for text in packs_of_configmap(config_map)), key=lambda text: text.file)
        written = sorted(map(PackObject.of, objects), key=lambda obj: obj.file)
        reports = _Reports()
        self._read([*shipped, *own, *written], reports)
        of_objects = self._named(written, {}, reports)
        of_config_maps = self._named(own, of_objects, reports)
        of_operator = self._named(shipped, {}, reports)
        self.shipped = frozenset(of_operator)
        packs = {**of_operator, **of_config_maps, **of_objects}
        for pack in packs.values():
            reports.packs[self._source(pack)].append(pack.identity)
        references = self._references(written, packs, {text.file for text in shipped}, reports)
        for source in {text.source for text in own}:
            if not any(
                self._versions[text.file].packs or self._versions[text.file].faults for text in own if text.source == source
            ):
                reports.faults[source].append(
                    Fault(Location(source, 1, 1), "there is no rule pack in its data", "one, in pack.yaml")
                )
        self._take_flags(flags or {}, packs, reports)
        values = self._take_params(params or {}, packs, references, reports)
        undecided = {name: names for name, pack in packs.items() if (names := pack.discover.keys() - self._given[name])}
        modes = {name: self._mode(pack, references.get(name), reports) for name, pack in packs.items()}
        old = self.catalog
        before = dict(old.packs), dict(old.modes), dict(old.params), old.resume, dict(old.undecided)
        if before != (packs, modes, values, resume, undecided):
            self.catalog = Catalog(packs, modes, values, resume, undecided)
        given = self.read = [*shipped, *own, *written]
        sources = dict.fromkeys(each.source for each in given)
        return [reports.of(source) for source in (*sources, FLAGS, PARAMS)]

    def _read(self, given: Sequence[Text | PackObject], reports: _Reports) -> None:
        """Read what has changed; a version with faults leaves the packs of the last good one."""
        before = self._versions
        self._versions = {}
        for each in given:
            version = before.get(each.file)
            if version is None or getattr(version.read, "uid", "") != getattr(each, "uid", ""):
                version = _Version()
            self._versions[each.file] = version
            version.take(each, self._cel)
            reports.faults[each.source] += version.faults
            reports.generations[each.source] = version.generation

    def _source(self, pack: RulePack) -> str:
        """Return the source that a pack is of."""
        read = self._versions[pack.source].read
        return read.source if read else ""

    def _named(self, given: Sequence[Text | PackObject], taken: Mapping[str, RulePack], reports: _Reports) -> dict[str, RulePack]:
        """Return the packs of these sources by name; add a fault for a name that is taken, or that an earlier source has."""
        packs: dict[str, RulePack] = {}
        for each in given:
            for pack in self._versions[each.file].packs:
                first = taken.get(pack.identity) or packs.setdefault(pack.identity, pack)
                if first is not pack:
                    message = f"pack {pack.identity!r} is also in {first.source}, which has it"
                    reports.faults[each.source].append(Fault(pack.location, message, "another name"))
        return packs

    def _references(
        self, objects: Sequence[PackObject], packs: Mapping[str, RulePack], shipped: Collection[str], reports: _Reports
    ) -> dict[str, PackObject]:
        """Return the objects that say how a shipped pack is to run, by its name; `shipped` are the files of those packs.

        The object of the pack's own name goes before others: a later one must not end a mode that an administrator set on it.
        """
        references: dict[str, PackObject] = {}
        given = [(obj, reference) for obj in objects if (reference := self._versions[obj.file].reference)]
        for obj, reference in sorted(given, key=lambda each: each[0].name != (each[1].shipped or each[0].name)):
            name, pack = reference.shipped or obj.name, packs.get(reference.shipped or obj.name)
            held = f"configmap/{obj.file.split('/')[1]}/{reference.config_map}"
            stands = pack is not None and (pack.source in shipped if reference.shipped else self._source(pack) == held)
            reports.texts[obj.source] = self._source(pack) if pack and stands else "" if reference.shipped else held
            if stands:
                if references.setdefault(name, obj) is obj:
                    reports.packs[obj.source].append(name)
                    continue
                message, expected = f"{references[name].file} stands for the pack {name!r} already", "one object for each pack"
            elif pack is not None:
                message, expected = f"pack {name!r} is that in {pack.source}", ""
            elif reference.shipped:
                message = f"no pack {name!r} is shipped"
                expected = suggestion(name, [each for each, pack in packs.items() if pack.source in shipped])
            else:
                message, expected = f"{held} holds no pack {name!r} that is in force", ""
            where = Location(obj.file, 1, 1, "spec.shipped" if reference.shipped else "spec.configMap")
            reports.faults[obj.source].append(Fault(where, message, expected))
        return references

    def _mode(self, pack: RulePack, reference: PackObject | None, reports: _Reports) -> Mode:
        """Return the stricter of the mode that is written for a pack and that of its flag, else the pack's default."""
        source = reference.source if reference else self._source(pack)
        if pack.identity in self._unread:
            reports.notes[source] = "a value of its params was never read, so it is Disabled"
            return Mode.OFF
        said = self._said(reference)
        written = Mode(said.mode) if said and said.mode else pack.mode
        flag = self._fixed.get(pack.feature_flag) or self._flags.get(pack.feature_flag)
        given = [mode for mode in (written, flag) if mode is not None]
        mode = max(given, key=STRICTNESS.index) if given else pack.default_mode
        if flag is not None and flag is not mode and pack.feature_flag not in self._fixed:
            fault = Fault(Location(f"{FLAGS}/{pack.feature_flag}", 1, 1), f"{source} says {mode.value}, which is stricter")
            reports.warnings[FLAGS].append(fault)
        if flag is not None and mode is not (written or pack.default_mode):
            reports.notes[source] = f"the feature flag {pack.feature_flag} says {flag.value}"
        return mode

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
        self, data: Mapping[str, str], packs: Mapping[str, RulePack], references: Mapping[str, PackObject], reports: _Reports
    ) -> dict[str, Mapping[str, Any]]:
        """Return the values of every pack's params: the RulePack's, else the ConfigMap's, else the last one, else the default.

        A pack of which a param has a value that could never be read is Off: the default may be what somebody meant to forbid.
        """
        keys = {pack.config_key for pack in packs.values()}
        shared = self._shared(data.get(SHARED, ""), packs, reports)
        for name in data.keys() - keys - {SHARED}:
            warning = Fault(Location(f"{PARAMS}/{name}", 1, 1), f"there is no pack {name!r}", suggestion(name, keys))
            reports.warnings[PARAMS].append(warning)
        values: dict[str, Mapping[str, Any]] = {}
        given: dict[str, frozenset[str]] = {}
        for name, pack in packs.items():
            key, reference = pack.config_key, references.get(name)
            said = self._said(reference)
            last = self._params.get(name, {}) if key in data or (said and said.params) else {}
            below = defaults(pack.params, shared)
            found_values = of_text(pack.params, below, last, data.get(key, ""), f"{PARAMS}/{key}")
            reports.faults[PARAMS] += found_values.faults
            if reference and said and said.params:
                document = ObjectDocument(said.params, reference.file, ("spec", "params"))
                for param in said.params.keys() & found_values.values.keys() if data.get(key) else ():
                    if found_values.values[param] not in (below.values[param], said.params[param]):
                        fault = Fault(Location(f"{PARAMS}/{key}", 1, 1), f"{param} in {reference.source} goes before it")
                        reports.warnings[PARAMS].append(fault)
                found_values = overridden(pack.params, found_values._replace(faults=()), last, document)
                reports.faults[reference.source] += found_values.faults
            values[name] = dict(found_values.values)
            given[name] = found_values.given | (frozenset() if found_values.read else self._given.get(name, frozenset()))
            never_read = name not in self._params or name in self._unread
            read = found_values.read and not self._shared_unread
            (self._unread.add if never_read and not read else self._unread.discard)(name)
        self._params, self._given = values, given
        return values

    def _shared(self, text: str, packs: Mapping[str, RulePack], reports: _Reports) -> Mapping[str, Any]:
        """Return the values for every pack that has a parameter of that name; one that does not fit all of them is for none."""
        by_name: dict[str, list[Mapping[str, Any]]] = {}
        for pack in packs.values():
            for name, param in pack.params.items():
                schemas = by_name.setdefault(name, [])
                if param.schema not in schemas:
                    schemas.append(param.schema)
        params = {name: Param(name, {"allOf": schemas}, None) for name, schemas in by_name.items()}
        given = of_text(params, defaults(params), self._last_shared, text, f"{PARAMS}/{SHARED}")
        reports.faults[PARAMS] += given.faults
        self._shared_unread = not given.read
        self._last_shared = {name: value for name, value in given.values.items() if value is not None}
        return self._last_shared

    def _said(self, reference: PackObject | None) -> ReferenceSpec | None:
        return self._versions[reference.file].reference if reference else None
