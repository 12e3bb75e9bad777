"""The mode of each pack: what is written for it, and what its feature flag says."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from engine.errors import Fault, Location
from engine.model.flags import STRICTNESS, Mode, parse_mode
from engine.model.text import found, nearest, suggestion
from engine.packs import belongs
from engine.packs.pack import RulePack
from engine.packs.versions import Reference, Reports

FLAGS = "configmap/rulepack-feature-flags"
OPTION = "--feature-flags"


class ModeSetting(NamedTuple):
    """What gives a pack a mode: `source` is what it is written in, or FLAGS or OPTION with the name of a flag."""

    source: str
    mode: Mode
    flag: str = ""


class Modes:
    """Keeps the last good value of each flag. `fixed` are those of the command line, which go before those of the ConfigMap.

    `elsewhere` are flags of packs that other operators ship, of which nothing is said.
    """

    def __init__(self, fixed: Mapping[str, Mode], elsewhere: Collection[str]) -> None:
        self._fixed, self._elsewhere = dict(fixed), elsewhere
        self._flags: dict[str, Mode] = {}
        self._unread: dict[str, str] = {}  # what stands in the flags that cannot be read
        self._earlier: Mapping[str, Sequence[str]] = {}

    def take(
        self, data: Mapping[str, str], packs: Mapping[str, RulePack], earlier: Mapping[str, Sequence[str]],
        refused: Mapping[str, str], reports: Reports,
    ) -> None:  # fmt: skip
        """Take in the data of the ConfigMap of the flags; report what is wrong with it.

        `earlier` has, by pack, the flags that count for it beside its own, and `refused`, by the flag, the packs of which
        nothing is in force.
        """
        flags: dict[str, Mode] = {}
        self._unread, self._earlier = {}, earlier
        known = sorted({pack.feature_flag for pack in packs.values()})
        given = {name: text for name, text in data.items() if name in known or name not in self._elsewhere}
        for name, text in given.items():
            mode = parse_mode(text)
            if mode is None:
                self._unread[name] = found(text)
                fault = Fault(Location(f"{FLAGS}/{name}", 1, 1), f"{found(text)} is no mode", "Enforce, Audit or Disabled")
                reports.faults[FLAGS].append(fault)
                mode = self._flags.get(name, Mode.OFF)  # a switch that cannot be read must not start anything
            flags[name] = mode
        sources = [(f"{FLAGS}/{name}", name) for name in given] + [(OPTION, name) for name in self._fixed]
        for source, name in sources:
            now = [pack for pack in packs.values() if name in self._names(pack)[1:]]
            called = " and ".join(repr(pack.identity) for pack in now)
            if name in refused and name not in known:
                message = f"pack {refused[name]!r} is refused: the flag counts for it once it is in force"
                message += f", and for {called} until then" if now else ""
                reports.warnings[FLAGS].append(Fault(Location(source, 1, 1), message))
            elif now:
                message = f"pack {name!r} is called {called} now; the flag counts for {'it' if len(now) == 1 else 'each'}"
                expected = " and ".join(repr(pack.feature_flag) for pack in now)
                reports.warnings[FLAGS].append(Fault(Location(source, 1, 1), message, expected))
            elif name not in known:
                message = f"no pack has the feature flag {name!r}"
                params = {param for pack in packs.values() for param in pack.params} | belongs.PARAMETERS
                is_param = name in params and not nearest(name, known)
                expected = f"it in {belongs.PARAMS_MAP}: it is a parameter" if is_param else suggestion(name, known)
                reports.warnings[FLAGS].append(Fault(Location(source, 1, 1), message, expected))
        self._flags = flags

    def of(
        self, pack: RulePack, reference: Reference | None, earlier: Sequence[Reference], source: str, reports: Reports
    ) -> Mode:  # fmt: skip
        """Return the strictest mode of those that are written for a pack and those of its flags, else the pack's default.

        `earlier` stands for names that the pack had before, which count as its own does. `source` is where its mode is to be set.
        A pack is Off where no spec of what stands for it was ever accepted.
        """
        said = [each.said for each in (reference, *earlier) if each]
        if None in said:  # what it said before, nobody knows any more
            return Mode.OFF
        own = reference.said if reference else None
        modes = [Mode(each.mode) for each in said if each and each.mode]
        modes += [pack.mode] if pack.mode and not (own and own.mode) else []
        written = max(modes, key=STRICTNESS.index, default=None)
        flags = {name: mode for name in self._names(pack) if (mode := self._fixed.get(name) or self._flags.get(name))}
        given = [*modes, *flags.values()]
        mode = max(given, key=STRICTNESS.index) if given else pack.default_mode
        for name, flag in flags.items():
            if flag is not mode and name not in self._fixed:
                stricter = source if written is mode else next(f"flag {each}" for each, other in flags.items() if other is mode)
                fault = Fault(Location(f"{FLAGS}/{name}", 1, 1), f"{stricter} says {mode.word}, which is stricter")
                reports.warnings[FLAGS].append(fault)
            elif flag is mode and mode is not (written or pack.default_mode):
                unread = self._unread.get(name) if name not in self._fixed else None
                says = f"says {flag.word}" if unread is None else f"cannot be read ({unread}), so it counts as {flag.word}"
                reports.notes[source] = f"the feature flag {name} {says}"
        for obj, saying in earlier:
            if saying and saying.mode and Mode(saying.mode) is mode and not (own and own.mode and Mode(own.mode) is mode):
                reports.notes[source] = f"{obj.file}, which stands for an earlier name, says {mode.word}"
        return mode

    def settings(
        self, pack: RulePack, reference: Reference | None, earlier: Sequence[Reference], source: str
    ) -> Sequence[ModeSetting]:  # fmt: skip
        """Return all that gives a pack a mode, the strictest of which is in force; nothing: its default is. As for `of`."""
        own = reference.said if reference else None
        found = [
            ModeSetting(each.obj.source, Mode(each.said.mode))
            for each in (reference, *earlier) if each and each.said and each.said.mode
        ]  # fmt: skip
        found += [ModeSetting(source, pack.mode)] if pack.mode and not (own and own.mode) else []
        for name in self._names(pack):
            if mode := self._fixed.get(name) or self._flags.get(name):
                found.append(ModeSetting(OPTION if name in self._fixed else FLAGS, mode, name))
        return found

    def flagged(self, pack: RulePack) -> bool:
        """Return whether a flag says which mode a pack has."""
        return any(name in self._fixed or name in self._flags for name in self._names(pack))

    def _names(self, pack: RulePack) -> Sequence[str]:
        """Return the flag of a pack, and those that count beside it."""
        return [pack.feature_flag, *self._earlier.get(pack.identity, ())]
