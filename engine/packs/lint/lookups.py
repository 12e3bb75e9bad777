"""Checks of what rules look up: whether a change of it is noticed, and whether a rule sets itself off by it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from engine.actions.base import Need
from engine.actions.lookup import Lookup
from engine.cel import Path, Program
from engine.errors import Fault
from engine.model.objects import SECRET
from engine.packs.declarations import needed_through
from engine.packs.lint.base import Check, Severity, Subject, raw_rules
from engine.packs.pack import RulePack
from engine.packs.parse import ParsedPack
from engine.packs.rule import Rule

_PLACING = ("apiVersion", "kind", "namespace", "name", "labelSelector")


class UnfollowedLookup(Check):
    """A change of what a rule looks up is not noticed.

    A lookup is followed where `targets` grant `list` and `watch` on its kind: the rule is evaluated again when what it looked up
    has changed. Without these rights it is read when the watched object changes, and an answer may be 5 seconds old. Grant them,
    or say that this is meant: `live: true` reads at each evaluation, `live: false` takes an older answer.

        targets:
          - {apiVersion: v1, kind: ConfigMap, verbs: [list, watch]}
    """

    name = "unfollowed-lookup"
    severity = Severity.WARNING

    def faults(self, subject: Subject) -> Iterator[Fault]:
        """Yield a fault for each such lookup of a rule that says nothing of it."""
        for parsed in subject.sound():
            followed = {id(lookup) for _, lookup in parsed.pack.followed}
            for index, rule in enumerate(parsed.pack.rules):
                for name, lookup in rule.lookups.items() if rule.schedule is None else ():
                    polled = lookup.kind is None and rule.resync is not None  # which is all that can be done
                    if lookup.live is None and not polled and rule.on == "Change" and id(lookup) not in followed:
                        location = parsed.document.locate_key(("spec", "rules", index, "lookup", name))
                        message = f"a change of lookup.{name} does not evaluate rule {rule.name} again"
                        yield self.fault(location, message, _expected(parsed.pack, lookup))


def _expected(pack: RulePack, lookup: Lookup) -> str:
    if lookup.kind is None:
        return "live: true, since a kind that only the running rule knows cannot be followed"
    if lookup.kind == SECRET and lookup.watch is None:
        return "live: true, or live: false to hold all Secrets that are watched"
    missing = " and ".join(pack.unfollowed(lookup.kind))
    if not missing:
        return "list and watch on Namespace (v1) under targets, or live: true"
    read = Need(lookup.kind, "get", followed=True)
    others = {need for rule in pack.rules for need in rule.needs()} - {read}
    needless = read in lookup.needs() and pack.grants(read) and read._replace(followed=False) not in others
    instead = " in place of get" if needless else ""
    return f"{missing}{instead} on {lookup.kind.kind} ({lookup.kind.api_version}) under targets, or live: true"


class WritesWhatItLooksUp(Check):
    """A rule writes on an object what depends on that object, and follows changes of it.

    Each write is a change, which evaluates the rule again, which writes again: a counter counts without end. Say with `doneWhen`
    when there is nothing to do, fire once with `oncePer`, or read it with `live: true`.
    """

    name = "writes-what-it-looks-up"
    severity = Severity.WARNING

    def faults(self, subject: Subject) -> Iterator[Fault]:
        """Yield a fault for each such action."""
        for parsed in subject.sound():
            for index, (rule, raw) in enumerate(zip(parsed.pack.rules, raw_rules(parsed), strict=True)):
                if rule.once_per is not None and not _reads(rule.once_per, rule, "lookup"):
                    continue
                followed = [lookup.name for follower, lookup in parsed.pack.followed if follower is rule]
                for number, entry in enumerate(raw.get("actions", ())):
                    path: Path = ("spec", "rules", index, "actions", number)
                    written = [name for name in followed if name in rule.lookups and _same(raw["lookup"][name], entry)]
                    if written and _feeds(parsed, rule, path):
                        message = (
                            f"rule {rule.name} writes lookup.{written[0]}, which evaluates it again, with what depends on it"
                        )
                        yield self.fault(parsed.document.locate(path), message, "doneWhen, oncePer, or live: true at the lookup")


def _same(lookup: Mapping[str, Any], entry: Mapping[str, Any]) -> bool:
    """Return whether an action writes what a lookup finds, and does not say when that is done."""
    for spec in entry.values():
        if isinstance(spec, dict) and "doneWhen" not in spec:
            manifest = spec.get("manifest")
            meta = manifest.get("metadata") if isinstance(manifest, dict) else None
            target = {**manifest, **meta} if isinstance(manifest, dict) and isinstance(meta, dict) else spec.get("target")
            if isinstance(target, dict) and all(lookup.get(key) == target.get(key) for key in _PLACING):
                return {"patch", "annotations", "labels", "manifest"} & spec.keys() != set()
    return False


def _feeds(parsed: ParsedPack, rule: Rule, path: Path) -> bool:
    """Return whether what an action writes depends on a lookup."""
    programs = [each.program for each in parsed.expressions if each.path[:5] == path and each.path[6:7] != ("target",)]
    return any(_reads(program, rule, "lookup") for program in programs)


def _reads(program: Program, rule: Rule, variable: str) -> bool:
    return variable in program.variables or bool(needed_through(program, rule.vars, variable))
