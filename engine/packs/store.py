"""The last good version of every rule pack, and the catalog that they, the feature flags and the parameters make."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from engine.cel import Backend
from engine.errors import Fault, Location
from engine.model.flags import STRICTNESS, Mode
from engine.model.objects import Object, kind_of, metadata
from engine.packs import records
from engine.packs.catalog import Catalog
from engine.packs.claims import callers, claims, refused_shipped
from engine.packs.earlier import Earlier, refused_packs
from engine.packs.libraries import Libraries
from engine.packs.library import KIND as LIBRARY
from engine.packs.library_store import LibraryStore
from engine.packs.modes import FLAGS, Modes, ModeSetting
from engine.packs.pack import RulePack
from engine.packs.param_store import PARAMS, ParamStore
from engine.packs.references import References
from engine.packs.sources import LibraryObject, PackObject, Settable, Text, packs_of_configmap, shipped_settable
from engine.packs.versions import Reference, Report, Reports, Version, source_of


class PackStore:
    """Keeps what was good. `flags` are those of the command line, which go before those of the ConfigMap.

    `catalog` is replaced, never changed, and only where something differs; a pack whose text did not change stays the
    same object. `shipped` names the packs that come with the operator, `read` is all that was read last of packs, and
    `objects` the objects of kind RuleLibrary. `settings` says of each pack what gives it its mode.
    With `some`, other operators may ship others: RulePacks, flags and params that are about those are left alone.
    """

    def __init__(self, cel: Backend, flags: Mapping[str, Mode] | None = None, *, some: bool = False) -> None:
        self.catalog, self.shipped = Catalog(), frozenset[str]()
        self.read: Sequence[Text | PackObject] = ()
        self.objects: Sequence[LibraryObject] = ()
        self._libraries = LibraryStore(cel)
        self._cel, self._some = cel, some
        self._elsewhere = shipped_settable() if some else Settable()  # what may be set for other operators
        self._modes = Modes(flags or {}, self._elsewhere.flags)
        self._versions: dict[str, Version] = {}
        self._params = ParamStore(self._elsewhere)
        self.settings: Mapping[str, Sequence[ModeSetting]] = {}
        self._begins = True
        self._stood: Mapping[str, Reference] = {}  # by pack, what its RulePack said last

    @property
    def libraries(self) -> Libraries:
        """What packs may call."""
        return self._libraries.libraries

    def update(
        self, shipped: Sequence[Text], config_maps: Iterable[Object] = (), flags: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None, resume: str = "", objects: Iterable[Object] = (), *,
        served: bool = True,
    ) -> list[Report]:  # fmt: skip
        """Take in everything as it is now; return a report for each source, and for the flags and the parameters.

        `flags` and `params` are the data of their ConfigMaps, `resume` is an annotation of the latter, `objects` are of the
        kinds RulePack and RuleLibrary; `served` says whether the former is. Of packs of one name a RulePack goes before one of a
        ConfigMap, and that before a shipped one; of two in ConfigMaps, the first by namespace and name has it. Nothing else has
        the name of a text that is refused: see `claims`. The same goes for libraries.
        """
        own = sorted((text for config_map in config_maps for text in packs_of_configmap(config_map)), key=lambda text: text.file)
        objects = sorted(objects, key=lambda obj: (metadata(obj)["namespace"], metadata(obj)["name"]))
        written = [PackObject.of(obj) for obj in objects if kind_of(obj).kind != LIBRARY]
        self.objects = [LibraryObject.of(obj) for obj in objects if kind_of(obj).kind == LIBRARY]
        reports = Reports()
        self._read([*shipped, *own, *written], self._libraries.update([*shipped, *own], self.objects, reports), reports)
        of_objects = self._named(written, {}, reports)
        claimed = claims(written, own, self._versions)
        of_config_maps = self._named(own, of_objects, reports, claimed)
        of_operator = self._named(shipped, {}, reports)
        self.shipped = frozenset(of_operator)
        packs = {name: pack for name, pack in of_operator.items() if name not in claimed} | of_config_maps | of_objects
        for pack in packs.values():
            reports.packs[source_of(pack, self._versions)].append(pack.identity)
        for name in sorted(claimed.keys() & of_operator.keys() - packs.keys()):
            if isinstance(text := self._versions[claimed[name]].read, Text):
                message, awaits = f"no pack {name!r} is in force, not even the shipped one", self._versions[text.file].awaits
                reports.faults[text.source].append(Fault(Location(text.file, 1, 1), message, "this corrected", awaits=awaits))
        earlier = Earlier(packs, refused_packs(written, [*shipped, *own], self._versions))
        absent = {**earlier.claims(), **refused_shipped(shipped, self._versions), **claimed}
        found = References(
            packs, {text.file for text in shipped}, self._versions, reports, some=self._some, claims=absent,
            earlier={name: earlier.names(pack) for name, pack in packs.items()},
        )  # fmt: skip
        references = found.find(written)
        references = {**self._kept(packs, references, written, reports), **references}
        for obj in written:
            refused = {obj.places.get(fault.location.path) for fault in reports.faults[obj.source]}
            reports.warnings[obj.source] += [each for each in obj.warnings if each.location.path not in refused]
            reports.warnings[obj.source] += () if self._versions[obj.file].faults else self._versions[obj.file].lost
        for source in {text.source for text in own}:
            texts = [text for text in own if text.source == source]
            if not any(self._versions[text.file].packs or self._versions[text.file].faults for text in texts) and not any(
                LIBRARY in text.text for text in texts
            ):
                reports.faults[source].append(
                    Fault(Location(source, 1, 1), "there is no rule pack in its data", "one, in pack.yaml")
                )
        self._warn_of_kept(packs, references, reports)
        beside = {name: earlier.flags(pack) for name, pack in packs.items()}
        absent_by_flag = {each.flag: name for name, several in earlier.absent.items() for each in several}
        self._modes.take(flags or {}, packs, beside, absent_by_flag, reports)
        values = self._params.take(params or {}, packs, references, reports, earlier.absent)
        undecided = {name: names for name, pack in packs.items() if (names := pack.discover.keys() - self._params.given[name])}
        modes = {name: self._mode(pack, references, found, reports) for name, pack in packs.items()}
        self.settings = {name: self._settings(pack, references.get(name), found) for name, pack in packs.items()}
        self._hold_back(earlier, packs, modes, references, found, reports)
        for pack, warning in records.warnings(packs):
            reports.warnings[source_of(pack, self._versions)].append(warning)
        old = self.catalog
        unsure = {name for name, pack in packs.items() if not (served or name in references or self._modes.flagged(pack))}
        before = dict(old.packs), dict(old.modes), dict(old.params), old.resume, dict(old.undecided), old.unsure
        if before != (packs, modes, values, resume, undecided, unsure):
            self.catalog = Catalog(packs, modes, values, resume, undecided, unsure=unsure)
        self._begins = False
        self.read = [*shipped, *own, *written]
        sources = dict.fromkeys(each.source for each in (*self.read, *self.objects))
        return [reports.of(source) for source in (*sources, FLAGS, PARAMS)]

    def _read(self, given: Sequence[Text | PackObject], changed: Collection[str], reports: Reports) -> None:
        """Read what has changed, or calls a library that has; a version with faults leaves the packs of the last good one."""
        before = self._versions
        self._versions = {}
        for each in given:
            version = before.get(each.file)
            if version is None or getattr(version.read, "uid", "") != getattr(each, "uid", ""):
                version = Version(initial=self._begins)
            self._versions[each.file] = version
            version.take(each, self._cel, self.libraries, changed)
            reports.faults[each.source] += [fault for fault in version.faults if fault not in reports.faults[each.source]]
            reports.generations[each.source] = version.generation
            reports.read[each.file] = version.faults

    def _kept(
        self, packs: Mapping[str, RulePack], references: Mapping[str, Reference], objects: Sequence[PackObject], reports: Reports
    ) -> Mapping[str, Reference]:
        """Return what the RulePacks said that are gone, by the packs that they stood for; a pack whose own text is gone is Off.

        It counts until there is a RulePack again: none can come where the kind is being deleted, and a pack that somebody has
        disabled must not act for that.
        """
        texts = {pack.identity: Reference(obj) for obj in objects for pack in self._versions[obj.file].packs}
        stood = {**texts, **references}
        kept = {name: self._stood[name] for name in packs if name in self._stood and name not in stood}
        self._stood = {**kept, **stood}
        for name, (obj, said) in kept.items():
            counts = "its mode and params count" if said else f"pack {name!r} is Disabled"
            fault = Fault(Location(obj.file, 1, 1), f"it is gone; {counts} until there is a RulePack {name!r} again")
            reports.warnings[source_of(packs[name], self._versions)].append(fault)
        return kept

    def last_good(self) -> Mapping[str, Mapping[str, Any]]:
        """Return by file the last good texts of what is refused: of a RulePack the spec and its generation, else the text."""
        kept = {file: each.good for file, each in self._versions.items() if each.faults and each.packs and each.good}
        return {
            file: {"text": good.text} if isinstance(good, Text) else {"spec": good.spec, "generation": good.generation}
            for file, good in kept.items()
        }

    def callers(self, library: str) -> Sequence[str]:
        """Return the names of the packs that call a function of a library: of those in force, and of those that wait for it."""
        found = {name for name, pack in self.catalog.packs.items() if library in pack.libraries}
        return sorted(found | callers(library, self._versions.values()))

    def _warn_of_kept(self, packs: Mapping[str, RulePack], references: Mapping[str, Reference], reports: Reports) -> None:
        """Warn of each pack that calls a library of which only the last good version is in force: a restart forgets that."""
        for name, pack in packs.items():
            kept = sorted({each for library in pack.libraries for each in self.libraries.kept_for(library)})
            if kept:
                which = f"library {kept[0]!r} is" if len(kept) == 1 else f"libraries {', '.join(map(repr, kept))} are"
                message = f"after a restart this pack is not in force, since {which} refused, and the last good text counts now"
                sources = {source_of(pack, self._versions), *(each.obj.source for each in (references.get(name),) if each)}
                for source in sources:
                    reports.warnings[source].append(Fault(pack.location, message, "the library corrected"))

    def _named(
        self, given: Sequence[Text | PackObject], taken: Mapping[str, RulePack], reports: Reports,
        claimed: Mapping[str, str] | None = None,
    ) -> dict[str, RulePack]:  # fmt: skip
        """Return the packs of these sources by name; add a fault for a name that is taken, claimed, or of an earlier pack."""
        packs: dict[str, RulePack] = {}
        for each in given:
            for pack in self._versions[each.file].packs:
                if claimant := (claimed or {}).get(pack.identity):
                    message = f"{claimant} has the name {pack.identity!r}, and is refused: no pack of that name is in force"
                    expected, awaits = "another name, or that corrected", self._versions[claimant].awaits
                    reports.faults[each.source].append(Fault(pack.location, message, expected, awaits=awaits))
                    continue
                first = taken.get(pack.identity) or packs.setdefault(pack.identity, pack)
                if first is not pack:
                    message = f"pack {pack.identity!r} is also in {first.source}, which has it"
                    reports.faults[each.source].append(Fault(pack.location, message, "another name"))
        return packs

    def _mode(self, pack: RulePack, references: Mapping[str, Reference], found: References, reports: Reports) -> Mode:
        """Return the mode of a pack; one of whose params a value could never be read is Off."""
        reference = references.get(pack.identity)
        source = reference.obj.source if reference else source_of(pack, self._versions)
        mode = self._modes.of(pack, reference, found.earlier.get(pack.identity, ()), source, reports)
        if pack.identity in self._params.unread and (reference is None or reference.said is not None):
            reports.notes[source] = "a value of its params was never read, so it is Disabled"
        return Mode.OFF if pack.identity in self._params.unread else mode

    def _settings(self, pack: RulePack, reference: Reference | None, found: References) -> Sequence[ModeSetting]:
        source = reference.obj.source if reference else source_of(pack, self._versions)
        return self._modes.settings(pack, reference, found.earlier.get(pack.identity, ()), source)

    def _hold_back(
        self, earlier: Earlier, packs: Mapping[str, RulePack], modes: dict[str, Mode], references: Mapping[str, Reference],
        found: References, reports: Reports,
    ) -> None:  # fmt: skip
        """Warn of each earlier name of a pack that another pack has now, and have the mode that is written for that count too."""
        settings = dict(self.settings)
        for name, pack in packs.items():
            source = source_of(pack, self._versions)
            for other in earlier.others(pack, references, found.earlier, settings, self._versions):
                reports.warnings[source] += [other.warning] if other.warning else []
                for setting, said in other.settings:
                    if STRICTNESS.index(setting.mode) > STRICTNESS.index(modes[name]):
                        modes[name] = setting.mode
                        self.settings = {**self.settings, name: [*self.settings[name], setting]}
                        reports.notes[references[name].obj.source if name in references else source] = said
