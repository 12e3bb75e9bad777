"""The RulePacks that say how a pack whose text is elsewhere is to run: which stands for which pack, and what counts of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from engine.errors import Awaited, Fault, Location
from engine.model.text import suggestion
from engine.packs.document import ObjectDocument
from engine.packs.pack import RulePack
from engine.packs.params import defaults, overridden
from engine.packs.sources import PackObject
from engine.packs.versions import Reference, Reports, Version, source_of


class References:
    """Finds them among the RulePacks. `shipped` are the files of the packs that are shipped; where these are `some` only, what
    refers to another shipped pack is none of this process's, and nothing is said of it.

    A spec is accepted as a whole: where it stands for nothing, or a param does not fit, the one accepted before counts.
    One with `configMap` stands for the pack of its own name also where that is elsewhere by now, and one with `shipped` also
    where a ConfigMap has taken the name: its mode must not get lost. `claims` are the names of packs that are not in force.
    `earlier` has the names that packs had before, by pack.
    """

    def __init__(
        self, packs: Mapping[str, RulePack], shipped: Collection[str], versions: Mapping[str, Version], reports: Reports,
        *, some: bool, claims: Mapping[str, str], earlier: Mapping[str, Sequence[str]],
    ) -> None:  # fmt: skip
        self._some, self._claims = some, claims
        self._packs, self._shipped, self._versions, self._reports = packs, shipped, versions, reports
        self._found: dict[str, Reference] = {}
        self.earlier: dict[str, list[Reference]] = {}
        """By a pack's name, what stands for a name that it had before."""
        self._renamed: dict[str, list[RulePack]] = {}
        for pack in packs.values():
            for name in earlier[pack.identity]:
                if name not in packs:
                    self._renamed.setdefault(name, []).append(pack)

    def find(self, objects: Sequence[PackObject]) -> Mapping[str, Reference]:
        """Return the reference of each pack that has one, by the pack's name; report what is wrong with others.

        Those in `earlier` stand for names that packs had before: their modes count as well.

        The object of the pack's own name goes before others, also while its spec is refused: a later one must not end a mode
        that an administrator set on it.
        """
        for obj in sorted(objects, key=lambda obj: (not self._has_name_of_pack(obj), obj.name not in self._packs)):
            version = self._versions[obj.file]
            known = _name(obj) in self._packs or self._refused_text(obj)
            if self._some and version.accepted is None and "shipped" in obj.spec and not known:
                self._reports.faults[obj.source].clear()
                continue
            renamed = self._renamed.get(_name(obj), []) if obj.reference else []
            if renamed and _name(obj) not in self._claims:
                self._take_earlier(obj, version, renamed)
                continue
            for pack in renamed:  # the text of that name is refused, not renamed; the mode counts all the same
                self.earlier.setdefault(pack.identity, []).append(Reference(obj, version.reference))
            if version.reference is not None:
                newest = Reference(obj, version.reference)
                faults = self._refusal(newest)
                self._reports.faults[obj.source] += faults
                if not faults:
                    version.accepted, version.generation = newest, obj.generation
            counts = version.accepted or (Reference(obj) if obj.reference else None)
            if counts is not None:
                self._take(obj, counts)
        return self._found

    def _take(self, obj: PackObject, counts: Reference) -> None:
        """Have an object stand for its pack, as far as there is one and no other object does; `counts` is what counts of it."""
        pack, named = self._pack(counts.obj), self._packs.get(obj.name)
        if pack is None and counts.said is None and "shipped" in obj.spec and named and named.source in self._shipped:
            pack = named  # its own object has a slip in the name; what that said of it before, nobody knows
        self._reports.texts[obj.source] = pack.source if pack else text_source(counts.obj) or self._refused_text(obj)
        self._reports.generations[obj.source] = self._versions[obj.file].generation
        if pack is not None and self._is_elsewhere(counts.obj, pack):
            self._reports.warnings[obj.source].append(self._elsewhere(counts.obj, pack))
        if pack is not None and self._found.setdefault(pack.identity, counts) is counts:
            self._reports.packs[obj.source].append(pack.identity)

    def _take_earlier(self, obj: PackObject, version: Version, packs: Sequence[RulePack]) -> None:
        """Have the mode of an object count that stands for a name which packs had before; say where it is to be set now."""
        if version.reference is not None:
            version.accepted, version.generation = Reference(obj, version.reference), obj.generation
        for pack in packs:
            self.earlier.setdefault(pack.identity, []).append(version.accepted or Reference(obj))
            self._reports.packs[obj.source].append(pack.identity)
        self._reports.generations[obj.source] = version.generation
        namespace, key = obj.file.split("/")[1], "shipped" if "shipped" in obj.spec else "configMap"
        called, which = " and ".join(repr(pack.identity) for pack in packs), " and ".join(pack.identity for pack in packs)
        message = f"pack {_name(obj)!r} is called {called} now; of this RulePack only the mode counts for it"
        delete = f"kubectl delete rulepack {obj.name} -n {namespace}"
        expected = f"mode and params in RulePack {which}, and this one deleted: {delete}"
        self._reports.warnings[obj.source].append(Fault(Location(obj.file, 1, 1, f"spec.{key}"), message, expected))

    def _has_name_of_pack(self, obj: PackObject) -> bool:
        """Return whether an object has the name of the pack that it stands for, or last stood for."""
        accepted = self._versions[obj.file].accepted
        return obj.name == _name(obj) or (accepted is not None and obj.name == _name(accepted.obj))

    def _pack(self, obj: PackObject) -> RulePack | None:
        """Return the pack that an object names, None where there is none; one that it calls shipped is no RulePack's own."""
        pack = self._packs.get(_name(obj))
        own = pack is not None and isinstance(self._versions[pack.source].read, PackObject)
        return None if "shipped" in obj.spec and own else pack

    def _is_elsewhere(self, obj: PackObject, pack: RulePack) -> bool:
        """Return whether the text of a pack is not where its object says."""
        if "shipped" in obj.spec:
            return pack.source not in self._shipped
        return source_of(pack, self._versions) != text_source(obj)

    def _elsewhere(self, obj: PackObject, pack: RulePack) -> Fault:
        """Return the warning that a pack is not where its object says."""
        config_map = source_of(pack, self._versions).rpartition("/")[2]
        expected = f"shipped: {pack.identity}" if pack.source in self._shipped else f"configMap: {config_map}"
        key, note = ("shipped", "; mode and params count for that") if "shipped" in obj.spec else ("configMap", "")
        return Fault(Location(obj.file, 1, 1, f"spec.{key}"), f"pack {pack.identity!r} is that in {pack.source}{note}", expected)

    def _refusal(self, reference: Reference) -> Sequence[Fault]:
        """Return why a reference cannot be accepted, nothing where it can."""
        obj, said = reference
        delete = f"delete this RulePack: kubectl delete rulepack {obj.name} -n {obj.file.split('/')[1]}"
        name, pack = _name(obj), self._pack(obj)
        if pack is not None and name not in self._found:
            own, whole = ((spec or {}).get("params") or {} if said else {} for spec in (obj.spec, obj.whole))
            faults, doubtful = (
                overridden(pack.params, defaults(pack.params), {}, ObjectDocument(params, obj.file, ("spec", "params"))).faults
                for params in (own, whole)
            )
            return [*faults, *obj.of_nulls(doubtful)]
        expected = ""
        awaits: Awaited | None = None
        if pack is not None:
            message, expected = f"{self._found[name].obj.file} stands for the pack {name!r} already", "one object for each pack"
        elif file := self._refused_text(obj):
            message = f"the shipped text of pack {name!r} is refused: no pack of that name is in force"
            awaits = self._versions[file].awaits
        elif name in self._claims and not text_source(obj):
            message = f"{self._claims[name]} has the name {name!r}, and is refused: no pack of that name is in force"
            expected, awaits = "that corrected, or deleted", self._versions[self._claims[name]].awaits
        elif name in self._packs:
            message = f"pack {name!r} is that in {self._packs[name].source}"
            expected = f"no reference to another: {delete}"
        elif "shipped" in obj.spec:
            message = f"no pack {name!r} is shipped"
            names = [each for each, pack in self._packs.items() if pack.source in self._shipped]
            expected = f"{suggestion(name, names)}; where this operator ships it no more, {delete}"
        elif broken := self._broken(text_source(obj)):
            message, expected = f"no pack {name!r} is in force", f"the faults in {', '.join(broken)} corrected"
            libraries = [self._versions[file].awaits for file in broken]
            awaits = libraries[0] if all(libraries) else None
        else:
            message = f"{text_source(obj)} holds no pack {name!r} that is in force"
            expected = f"such a pack there; where it was renamed or taken away, {delete}"
        where = Location(obj.file, 1, 1, "spec.shipped" if "shipped" in obj.spec else "spec.configMap")
        return [Fault(where, message, expected, awaits=awaits)]

    def _refused_text(self, obj: PackObject) -> str:
        """Return the file of the shipped pack that an object names, where that is refused, as after a restart; else ''."""
        file = self._claims.get(_name(obj), "") if "shipped" in obj.spec else ""
        return file if file in self._shipped else ""

    def _broken(self, source: str) -> Sequence[str]:
        """Return the texts of a ConfigMap that have faults, each as the ConfigMap and its key."""
        texts = [(file, version) for file, version in self._versions.items() if version.read and version.read.source == source]
        return [file for file, version in texts if version.faults]


def _name(obj: PackObject) -> str:
    """Return the name of the pack that an object stands for."""
    return str(obj.spec.get("shipped") or obj.name)


def text_source(obj: PackObject) -> str:
    """Return the source that holds the text of a pack in a ConfigMap, '' where it is a shipped one."""
    return "" if "shipped" in obj.spec else f"configmap/{obj.file.split('/')[1]}/{obj.spec.get('configMap')}"
