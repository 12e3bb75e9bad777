"""A rule acts on other objects, or counts, and nothing says how often.

Without `oncePer` a rule fires at every change of the watched object for as long as its conditions hold: pods are deleted
again, counters count on, and whoever changes the target otherwise is overwritten. Name the occasion, such as
`oncePer: object.metadata.uid + '/' + object.status.completionTime`. A rule that keeps something as it should be, rather
than doing something once, says so with `throttle` or `resync`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.errors import Fault
from engine.packs.lint.base import Code, Severity, Subject, raw_actions, raw_rules
from engine.packs.pack import RulePack


def check(subject: Subject) -> Iterator[Fault]:
    """The first such action of each rule."""
    for parsed in subject.packs:
        for index, (rule, raw) in enumerate(zip(parsed.pack.rules, raw_rules(parsed), strict=True)):
            if rule.once_per or rule.throttle is not None or rule.resync is not None or rule.aggregate or rule.on == "Delete":
                continue
            for path, name, spec in raw_actions(raw):
                what = _repeated(name, spec, parsed.pack)
                if what:
                    place = parsed.document.locate_key(("spec", "rules", index, *path))
                    expected = "oncePer, or throttle where it is meant to be kept so"
                    yield Fault(place, f"rule {rule.name} has no oncePer, and {what} whenever it is judged", expected, CODE.name)
                    break


def _repeated(name: str, spec: Any, pack: RulePack) -> str:
    if not isinstance(spec, dict):
        return ""
    if name in ("patch", "delete", "apply") or (name in ("annotate", "label") and "target" in spec):
        return f"acts on another object by {name}"
    metric = pack.metrics.get(str(spec.get("name"))) if name == "metric" else None
    if metric is not None and metric.type != "gauge":
        return f"adds to {metric.name}"
    return ""


CODE = Code("missing-once-per", Severity.WARNING, __doc__, check)
