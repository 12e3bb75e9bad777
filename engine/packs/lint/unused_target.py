"""`targets` grants a verb that no rule of the pack uses.

`rulepack rbac` and whoever reviews a pack go by `targets`: what nothing uses should not be there. Targets are read live, so
`watch` is of no use, and looking at the watched objects needs no entry.
"""

from __future__ import annotations

from collections.abc import Iterator

from engine.errors import Fault
from engine.packs.lint.base import Code, Severity, Subject
from engine.packs.needs import needs_of


def check(subject: Subject) -> Iterator[Fault]:
    """Each verb of each target that nothing needs; of packs with faults nothing is known."""
    for parsed in subject.packs:
        pack = parsed.pack
        if pack.name in subject.broken:
            continue
        needs = [need for rule in pack.rules for need in needs_of(rule)]
        exact = {target.kind for target in pack.targets}
        anywhere = {need.verb for need in needs if need.kind is None}
        elsewhere = {need.verb for need in needs if need.kind not in exact}
        for index, target in enumerate(pack.targets):
            used = anywhere | (
                {need.verb for need in needs if need.kind == target.kind} if target.kind.kind != "*" else elsewhere
            )
            for number, verb in enumerate(parsed.document.value["spec"]["targets"][index]["verbs"]):
                if verb not in used:
                    place = parsed.document.locate(("spec", "targets", index, "verbs", number))
                    what = "any further kind" if target.kind.kind == "*" else f"{target.kind.kind} ({target.kind.api_version})"
                    yield Fault(place, f"no rule uses {verb} on {what}", "only verbs that rules use", CODE.name)


CODE = Code("unused-target", Severity.WARNING, __doc__, check)
