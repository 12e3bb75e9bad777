"""The check of loops whose items make the conditions of the whole rule false."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from engine.actions import ACTIONS
from engine.cel import Path, Program, fields_of
from engine.cel.uses import with_vars
from engine.errors import Fault
from engine.packs.lint.base import Check, Severity, Subject, raw_rules
from engine.packs.rule import Rule


class LoopEndsItself(Check):
    """An item of a loop writes on the watched object what `when` reads, so that the items after it may never be done.

    Conditions are those of the whole rule, and are evaluated before each attempt. One item is done and writes, another waits,
    such as for an API server that has just answered 429: when its turn comes the conditions are false, and it is dropped.
    Compare for each item, in the filter of the loop, so that what has been done drops out by itself:

        loop: lookup.deployments.filter(d, annotation(d, 'example.com/seen') != vars.digest)
        actions:
          - annotate:
              target: {apiVersion: apps/v1, kind: Deployment, name: '${item.metadata.name}'}
              annotations: {example.com/seen: '${vars.digest}'}

    Or let a rule of its own, without a loop, write it: with `when: lookup.deployments.all(…)`, once every item is as it should
    be. An action with a `when` of its own is left alone.
    """

    name = "loop-ends-itself"
    severity = Severity.WARNING

    def faults(self, subject: Subject) -> Iterator[Fault]:
        """Yield a fault for each key or field that an item writes and a clause of `when` reads."""
        for parsed in subject.packs:
            for index, (rule, raw) in enumerate(zip(parsed.pack.rules, raw_rules(parsed), strict=True)):
                if rule.loop is None or rule.aggregate is not None or rule.on == "Delete":
                    continue
                for what, field, path in _own_writes(raw.get("actions") or ()):
                    reading = [f"when[{number}]" for number, clause in enumerate(rule.when, 1) if _reads(clause, rule, field)]
                    if reading:
                        message = (
                            f"each item of the loop of rule {rule.name} writes {what}, read by {' and '.join(reading)}:"
                            " items that wait then may be dropped"
                        )
                        expected = "a comparison for each item in the filter of loop, or a rule of its own that writes it"
                        yield self.fault(parsed.document.locate_key(("spec", "rules", index, *path)), message, expected)


def _own_writes(actions: Any) -> Iterator[tuple[str, Path, Path]]:
    """Yield what actions without a `when` always write on the watched object: in words, its path there, and below the rule."""
    for number, entry in enumerate(actions):
        (name,) = entry.keys() & ACTIONS.keys()
        if "when" in entry or not isinstance(entry[name], Mapping):
            continue
        for write in ACTIONS[name].metadata(entry[name]):
            above = write.below.split(".")[:-1] if write.part == "fields" else ["metadata", write.part]
            for key in write.entries if write.target is None else ():
                if "${" not in key:
                    what = f"{write.below}{key}" if write.part == "fields" else f"the {write.part.removesuffix('s')} {key}"
                    yield what, (*above, key), ("actions", number, name, *write.path, key)


def _reads(clause: Program, rule: Rule, field: Path) -> bool:
    read = (fields_of(path) for program in with_vars([clause], rule.vars) for path in program.reads)
    return any(path[0] == "object" and path[1 : 1 + len(field)] == field for path in read)
