"""What counts for a pack of others that have a name which it had before: their modes, also where they are refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from engine.errors import Fault
from engine.model.flags import STRICTNESS, Mode, parse_mode
from engine.model.text import nearest
from engine.packs.claims import specs_in
from engine.packs.identity import identity
from engine.packs.modes import ModeSetting
from engine.packs.pack import RulePack
from engine.packs.sources import PackObject, Text
from engine.packs.versions import Reference, Version


class Refused(NamedTuple):
    """A pack of which no text was good since the process began: what holds it, its feature flag, and the mode written there."""

    source: str
    flag: str
    mode: Mode | None


class Other(NamedTuple):
    """Another pack that has an earlier name of a pack: the warning of it, and each mode that counts for both with why it does."""

    warning: Fault
    settings: Sequence[tuple[ModeSetting, str]]


def written_mode(*given: Mapping[str, Any]) -> Mode | None:
    """Return the strictest mode under a key `mode`, or nearly so, of what is refused; Off where it is none, None without one."""
    found = [value for each in given for key, value in each.items() if nearest(str(key), ("mode",))]
    return max((parse_mode(str(value)) or Mode.OFF for value in found), key=STRICTNESS.index, default=None)


def refused_packs(
    objects: Sequence[PackObject], own: Sequence[Text], versions: Mapping[str, Version]
) -> Mapping[str, Refused]:  # fmt: skip
    """Return by name the packs of RulePacks and of ConfigMaps that are refused, and of which nothing is in force."""
    found: dict[str, Refused] = {}
    for text in own:
        if versions[text.file].faults and not versions[text.file].packs:
            for name, spec in specs_in(text.text).items():
                # of a text that is no YAML nobody knows the mode
                found[name] = Refused(text.source, name, Mode.OFF) if spec is None else _refused(text.source, name, spec)
    for obj in objects:
        if not obj.reference and not versions[obj.file].packs and versions[obj.file].accepted is None:
            found[obj.name] = _refused(obj.source, obj.name, obj.spec, obj.beside)
    return found


def _refused(source: str, name: str, spec: Mapping[str, Any], beside: Mapping[str, Any] | None = None) -> Refused:
    flag = spec.get("featureFlag")
    return Refused(source, flag if isinstance(flag, str) else name, written_mode(spec, beside or {}))


def others(
    pack: RulePack, packs: Mapping[str, RulePack], refused: Mapping[str, Refused], references: Mapping[str, Reference],
    settings: Mapping[str, Sequence[ModeSetting]],
) -> Iterator[Other]:  # fmt: skip
    """Yield each other pack that has an earlier name of a pack.

    The mode that is written for it counts for both, its flag for itself alone. Where its RulePack is refused, and none of its
    specs was good since the process began, it is Off, and so is the pack: nobody knows which mode it had.
    """
    for index, earlier in enumerate(pack.previous_names):
        name = identity(pack.namespace, earlier)
        other, reference = packs.get(name), references.get(name)
        if other is pack or (other is None and name not in refused):
            continue
        if other is None:
            source, _, mode = refused[name]
            there, counting = "is still there, and refused", [ModeSetting(source, mode)] if mode else []
        elif reference and reference.said is None:
            there, counting = "is still there, and its RulePack refused", [ModeSetting(reference.obj.source, Mode.OFF)]
        else:
            there, counting = "is still there", [each for each in settings[name] if not each.flag]
        where = replace(pack.location, path=f"spec.previousNames[{index}]")
        expected = f"that pack deleted, or {name!r} not among previousNames"
        says = "says" if there == "is still there" else "is refused and counts as"
        yield Other(
            Fault(where, f"pack {name!r} {there}: what is on record counts for both", expected),
            [(each, f"{each.source}, which has an earlier name, {says} {each.mode.word}") for each in counting],
        )
