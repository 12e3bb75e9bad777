"""Two rules write the same annotation or label of the same object, and nothing keeps them apart.

Where both fire, the one that is judged last wins, and from one change to the next that may be either. Let their conditions
exclude one another, such as by `== 'Succeeded'` in one and `== 'Failed'` in the other, or write different keys. Rules of all
packs that are given together are compared.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from engine.cel import Path
from engine.errors import Fault, Location
from engine.packs.lint.base import Code, Severity, Subject, raw_actions, raw_rules
from engine.packs.lint.conditions import excluding, facts_of
from engine.packs.pack import Rule
from engine.packs.parse import ParsedPack


@dataclass(frozen=True, slots=True)
class _Write:
    """One key that a rule writes: of which object, which key, to what, and where that stands."""

    object: str
    key: str
    value: Any
    rule: Rule
    name: str
    place: Location


def check(subject: Subject) -> Iterator[Fault]:
    """Each later write of a key that another rule writes; of packs with faults nothing is known."""
    earlier: dict[tuple[str, str], list[_Write]] = {}
    for parsed in subject.packs:
        if parsed.pack.name in subject.broken:
            continue
        for write in _writes(parsed):
            others = earlier.setdefault((write.object, write.key), [])
            for other in others:
                if other.name != write.name and other.value != write.value and not _apart(other.rule, write.rule):
                    message = f"rule {other.name} ({other.place}) also writes {write.key} of the same object"
                    yield Fault(write.place, message, "conditions that exclude one another, or another key", CODE.name)
                    break
            others.append(write)


def _apart(one: Rule, other: Rule) -> bool:
    return one.on != other.on or excluding(facts_of(one), facts_of(other)) is not None


def _writes(parsed: ParsedPack) -> Iterator[_Write]:
    for index, (rule, raw) in enumerate(zip(parsed.pack.rules, raw_rules(parsed), strict=True)):
        own = json.dumps(raw["aggregate"]["target"]) if rule.aggregate else str(parsed.pack.watch.kind)
        for path, name, spec in raw_actions(raw):
            for object_, part, below, entries in _metadata(name, spec, own):
                for key, value in entries.items():
                    if "${" not in key:
                        place = parsed.document.locate_key(("spec", "rules", index, *path, *below, key))
                        what = f"{part} {key}"
                        yield _Write(object_, what, value, rule, f"{parsed.pack.name}/{rule.name}", place)


def _metadata(name: str, spec: Any, own: str) -> Iterator[tuple[str, str, Path, Mapping[str, Any]]]:
    """The object, the part of its metadata, the path below the action, and the entries that an action writes."""
    if not isinstance(spec, Mapping):
        return
    target = json.dumps(spec["target"]) if "target" in spec else own
    bodies: dict[Path, Any] = {}
    match name:
        case "annotate" | "label":
            bodies[()] = spec
        case "patch" if spec.get("type", "merge") == "merge" and isinstance(spec.get("patch"), Mapping):
            bodies["patch", "metadata"] = spec["patch"].get("metadata")
    for path, body in bodies.items():
        for part in ("annotations", "labels"):
            if isinstance(body, Mapping) and isinstance(body.get(part), Mapping):
                yield target, part.removesuffix("s"), (*path, part), body[part]


CODE = Code("same-annotation", Severity.WARNING, __doc__, check)
