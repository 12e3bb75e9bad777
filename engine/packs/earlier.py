"""What counts for a pack of others that have a name which it had before: their modes, also where they are refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from engine.errors import Fault
from engine.model.flags import STRICTNESS, Mode, parse_mode
from engine.model.text import nearest
from engine.packs.claims import specs_in
from engine.packs.identity import config_key, identity
from engine.packs.modes import ModeSetting
from engine.packs.pack import RulePack
from engine.packs.sources import PackObject, Text
from engine.packs.versions import Reference, Version


class Refused(NamedTuple):
    """What is refused of a pack: the text or the object that holds it, its name and its spec, None where that is no YAML."""

    held: Text | PackObject
    name: str
    spec: Mapping[str, Any] | None

    @property
    def mode(self) -> Mode | None:
        """The mode that is written there; see `written_mode`."""
        return written_mode(self.spec or {}, self.held.beside if isinstance(self.held, PackObject) else {})

    @property
    def otherwise(self) -> Mode | None:
        """The default mode that is written there, as for `mode`."""
        return _strictest(_under("defaultMode", self.spec or {}))

    @property
    def flag(self) -> str:
        """Its feature flag: the one that is written there, else its name."""
        written = [each for each in _under("featureFlag", self.spec or {}) if isinstance(each, str)]
        return next(iter(written), self.name)

    @property
    def previous(self) -> Sequence[str]:
        """The names that it had before, as far as they can be read."""
        lists = [each for each in _under("previousNames", self.spec or {}) if isinstance(each, list)]
        return [name for names in lists for name in names if isinstance(name, str)]


class Other(NamedTuple):
    """Another pack that has an earlier name of a pack: the warning of it, if any, and each mode that counts with why it does."""

    warning: Fault | None
    settings: Sequence[tuple[ModeSetting, str]]


def written_mode(*given: Mapping[str, Any]) -> Mode | None:
    """Return the strictest mode under a key `mode`, or nearly so, of what is refused; Off where it is none, None without one."""
    return _strictest(_under("mode", *given))


def _under(key: str, *given: Mapping[str, Any]) -> list[Any]:
    """Return what stands under a key, or under one that was probably meant for it."""
    return [value for each in given for name, value in each.items() if nearest(str(name), (key,))]


def _strictest(texts: Iterable[Any]) -> Mode | None:
    return max((parse_mode(str(text)) or Mode.OFF for text in texts), key=STRICTNESS.index, default=None)


def refused_packs(
    objects: Sequence[PackObject], texts: Sequence[Text], versions: Mapping[str, Version]
) -> Mapping[str, Sequence[Refused]]:  # fmt: skip
    """Return by name what is refused of packs, in texts and in RulePacks with a text of their own.

    Whether a last good text is in force in its place or not.
    """
    found: dict[str, list[Refused]] = {}
    for text in texts:
        for name, spec in specs_in(text.text).items() if versions[text.file].faults else ():
            found.setdefault(name, []).append(Refused(text, name, spec))
    for obj in objects:
        if versions[obj.file].faults and not obj.reference:
            found.setdefault(obj.name, []).append(Refused(obj, obj.name, obj.spec))
    return found


class Earlier:
    """The earlier names of the packs in force, and what counts for a pack of what has one of them.

    Where a pack of an earlier name is refused, its own earlier names count too: it would have what is said of them, were it in
    force. `refused` is what is refused, `absent` the part of which nothing is in force.
    """

    def __init__(self, packs: Mapping[str, RulePack], refused: Mapping[str, Sequence[Refused]]) -> None:
        self._packs, self._refused = packs, refused
        self.absent = {name: each for name, each in refused.items() if name not in packs}

    def names(self, pack: RulePack) -> Sequence[str]:
        """Return the names that count as earlier ones of a pack: its own, and those of what is refused among them."""
        return _lineage(pack, lambda name: _previous(self.absent.get(name, ())))

    def claims(self) -> Mapping[str, str]:
        """Return the earlier names of what is refused and absent, each with the file of that: nothing else has them."""
        refused = [each for several in self.absent.values() for each in several]
        return {name: each.held.file for each in refused for name in each.previous if name not in self._packs}

    def flags(self, pack: RulePack) -> Sequence[str]:
        """Return the flags that count for a pack beside its own.

        Those are its earlier names where it gives itself no flag, unless another pack has that flag now; and the flag of each
        pack of these names that is refused: nobody but its successor acts for it.
        """
        names, known = self.names(pack), {each.feature_flag for each in self._packs.values()}
        named = [config_key(pack.namespace, name) for name in names if pack.feature_flag == pack.config_key]
        of_refused = [each.flag for name in names for each in self.absent.get(identity(pack.namespace, name), ())]
        flags = [*(name for name in named if name not in known), *of_refused]
        return [flag for flag in dict.fromkeys(flags) if flag != pack.feature_flag]

    def others(
        self, pack: RulePack, references: Mapping[str, Reference], renamed: Mapping[str, Sequence[Reference]],
        settings: Mapping[str, Sequence[ModeSetting]], versions: Mapping[str, Version],
    ) -> Iterator[Other]:  # fmt: skip
        """Yield each other pack that has an earlier name of a pack, be it by way of others.

        `references` are those by the names of packs in force, `renamed` those by an earlier name, by the packs of which.

        The mode that is written for it counts for both, its flag for itself alone. What is written in a spec or text of it that
        is refused counts too. Where its RulePack is refused, and none of its specs was good since the process began, it is Off,
        and so is the pack: nobody knows which mode it had.
        """
        lineage = _lineage(pack, self._all_previous)
        for name in (pack.identity, *(identity(pack.namespace, each) for each in lineage)):
            yield Other(None, [said for each in renamed.get(name, ()) for said in _said(unaccepted(each, versions))])
        for earlier in lineage:
            name = identity(pack.namespace, earlier)
            other, refused, reference = self._packs.get(name), self._refused.get(name, ()), references.get(name)
            if other is pack or (other is None and not refused):
                continue
            written = [each for each in settings.get(name, ()) if not each.flag]
            says = [(each, f"{each.source}, which has an earlier name, says {each.mode.word}") for each in written]
            modes = [(each.held.source, self._mode(each, other, settings[pack.identity])) for each in refused]
            newest = unaccepted(reference, versions) if reference else ()
            yield Other(self._warning(pack, earlier, reference), [*says, *_said([*modes, *newest])])

    def _all_previous(self, name: str) -> list[str]:
        """Return the earlier names of what has a name, be it in force or refused."""
        there = self._packs.get(name)
        return [*(there.previous_names if there else ()), *_previous(self._refused.get(name, ()))]

    @staticmethod
    def _mode(refused: Refused, other: RulePack | None, settings: Sequence[ModeSetting]) -> Mode | None:
        """Return the mode by which something refused counts for a pack; `other` is what is in force of its name.

        Where nothing is, and the text is no YAML, or that of a RulePack without a mode, nobody knows it: it is Off. The default
        in a ConfigMap counts where nothing gives the pack a mode.
        """
        if other is None and refused.spec is None:
            return Mode.OFF
        if refused.mode or other is not None:
            return refused.mode
        return Mode.OFF if isinstance(refused.held, PackObject) else None if settings else refused.otherwise

    def _warning(self, pack: RulePack, earlier: str, reference: Reference | None) -> Fault | None:
        """Return the warning that a pack of an earlier name is there; None where it has the name by way of another."""
        if earlier not in pack.previous_names:
            return None
        name = identity(pack.namespace, earlier)
        there = "is still there, and refused" if name not in self._packs else "is still there"
        if reference and reference.said is None:
            there = "is still there, and its RulePack refused"
        where = replace(pack.location, path=f"spec.previousNames[{pack.previous_names.index(earlier)}]")
        expected = f"that pack deleted, or {name!r} not among previousNames"
        return Fault(where, f"pack {name!r} {there}: what is on record counts for both", expected)


def unaccepted(reference: Reference, versions: Mapping[str, Version]) -> Iterator[tuple[str, Mode | None]]:
    """Yield the mode in the newest spec of a reference, with its source, where that is refused; Off where none was ever good."""
    version = versions.get(reference.obj.file)
    newest = version.read if version else None
    if reference.said is None:
        yield reference.obj.source, Mode.OFF
    elif isinstance(newest, PackObject) and newest != reference.obj:
        yield newest.source, written_mode(newest.spec, newest.beside)


def _said(modes: Iterable[tuple[str, Mode | None]]) -> list[tuple[ModeSetting, str]]:
    """Return the modes in what is refused, each with why it counts."""
    return [
        (ModeSetting(source, mode), f"{source}, which has an earlier name, is refused and counts as {mode.word}")
        for source, mode in modes if mode
    ]  # fmt: skip


def _previous(refused: Iterable[Refused]) -> list[str]:
    return [name for each in refused for name in each.previous]


def _lineage(pack: RulePack, further: Callable[[str], Iterable[str]]) -> list[str]:
    """Return the earlier names of a pack, and those that are `further` ones of each, without end; each once."""
    names = [*dict.fromkeys(pack.previous_names)]
    for name in names:  # which grows meanwhile
        names += [each for each in dict.fromkeys(further(identity(pack.namespace, name))) if each not in names]
    return names
