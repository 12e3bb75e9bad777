"""Checks of what rules do: how often, with what, and whether they use what `targets` grants."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from engine.actions import ACTIONS
from engine.cel import Path, Program
from engine.cel.uses import used_names
from engine.errors import Fault
from engine.packs.declarations import needed_through
from engine.packs.lint.base import Check, Severity, Subject, location_of, raw_rules
from engine.packs.pack import Rule, RuleAction, RulePack, Target

_NOW = re.compile(r"\bnow\b(?:\.get\w+)?")


class MissingOncePer(Check):
    """A rule changes objects, or counts, and nothing says how often.

    Without `oncePer` a rule fires at every change of the watched object for as long as its conditions hold: pods are deleted
    again, counters count on, and whoever changes the target otherwise is overwritten. Name the occasion, such as
    `oncePer: object.metadata.uid + '/' + object.status.completionTime`. A rule that keeps something as it should be, rather
    than doing something once, says so with `throttle` or `resync`;
    `oncePer` would not do again what somebody has undone, nor what has been so before. Nothing is to be said of labels,
    annotations and constant fields of the watched object: a repeat of these writes nothing.
    """

    name = "missing-once-per"
    severity = Severity.WARNING

    def faults(self, subject: Subject) -> Iterator[Fault]:
        """Yield a fault for the first such action of each rule."""
        for parsed in subject.packs:
            counters = [name for name, metric in parsed.pack.metrics.items() if metric.type != "gauge"]
            for rule, raw in zip(parsed.pack.rules, raw_rules(parsed), strict=True):
                if rule.once_per or rule.throttle is not None or rule.resync is not None or rule.aggregate or rule.on == "Delete":
                    continue
                entries, texts = [*rule.actions, *rule.rescue], [*raw["actions"], *(raw.get("rescue") or ())]
                if len(entries) == len(texts):  # an action with a fault is left out
                    entries = [entry for entry, text in zip(entries, texts, strict=True) if not _keeps_own(entry, text)]
                repeated = ((entry, entry.action.repeated(counters)) for entry in entries)
                for entry, what in ((entry, what) for entry, what in repeated if what):
                    message = f"rule {rule.name} has no oncePer, and {what} whenever it is evaluated"
                    yield self.fault(entry.location, message, "oncePer, or throttle where it is meant to be kept so")
                    break


def _keeps_own(entry: RuleAction, text: Mapping[str, Any]) -> bool:
    """Return whether all that an action does is to set fields of the watched object to constants, and its labels and annotations.

    As of `label` and `annotate`, a repeat of it writes nothing.
    """
    writes = list(ACTIONS[entry.action.name].metadata(text[entry.action.name] or {}))
    constant = all("${" not in str(write.entries) for write in writes if write.part == "fields")
    return bool(writes) and constant and all(write.target is None for write in writes)


class MissingAgeFrom(Check):
    """A rule changes objects once for each occasion, and nothing says when an occasion was.

    When such a rule first comes into force, it acts for everything that is already so: on a cluster with a thousand jobs that
    succeeded last year, it restarts what each of them is about. Say since when it is so, such as
    `existing: {ageFrom: object.status.completionTime}`; what that puts before the rule is then left alone. Where catching up
    is meant, say `existing: CatchUp`.
    """

    name = "missing-age-from"
    severity = Severity.WARNING

    def faults(self, subject: Subject) -> Iterator[Fault]:
        """Yield a fault for the first action on another object of each rule that says nothing of what exists."""
        for parsed in subject.packs:
            for rule, raw in zip(parsed.pack.rules, raw_rules(parsed), strict=True):
                if rule.once_per is None or rule.schedule or rule.on == "Delete" or "existing" in raw:
                    continue
                for entry in (entry for entry in rule.actions if entry.action.repeated(())):
                    message = f"rule {rule.name} does not say when an occasion was, and {entry.action.repeated(())}"
                    yield self.fault(entry.location, message, "existing with ageFrom, or existing: CatchUp where that is meant")
                    break


class NowWritten(Check):
    """`now` becomes part of something that is written, or of the key under which a rule fires.

    Effects are named by their cause, never by the clock: what contains `now` is different at every evaluation, so that the
    rule would write again and again, and a restart would do everything once more. Use a time of the object, such as
    `object.status.completionTime`. In conditions, and as the value of a metric, `now` is fine.
    """

    name = "now-written"
    severity = Severity.ERROR

    def faults(self, subject: Subject) -> Iterator[Fault]:
        """Yield a fault for each expression that is written, or is part of a key, and reads `now`, itself or through vars."""
        for parsed in subject.packs:
            for expression in parsed.expressions:
                what = _written(expression.path)
                if not what:
                    continue
                program, rule = expression.program, parsed.pack.rules[int(expression.path[2])]
                through = "now" if "now" in program.variables else needed_through(program, rule.vars, "now")
                if through:
                    location = location_of(parsed, expression, max(program.source.find(through), 0))
                    message = f"{through} is part of {what}, which differs at every evaluation"
                    expected = "a time of the object" if rule.schedule is None else "schedule.time"
                    yield self.fault(location, message, expected)


def _written(path: Path) -> str:
    """Return what an expression at a path becomes part of, '' where it is only evaluated."""
    match path:
        case ("spec", "rules", _, ("oncePer" | "loopKey") as key):
            return f"the key that {key} gives"
        case ("spec", "rules", _, "actions" | "rescue", _, str(action), str(part), *_) if action in ACTIONS:
            return f"what {action} writes" if part in ACTIONS[action].written else ""
    return ""


class NowWithoutResync(Check):
    """A condition depends on `now`, and not by one comparison that is true from some time on.

    A condition such as `now - timestamp(object.status.startTime) > duration('1h')` is evaluated again when it becomes true. Of
    one that names `now` twice, takes the hour of it, or is true for a while only, the engine cannot tell when that is, so a
    change of the object has to come by. Say with `resync` how often to evaluate it, or write a clause for each comparison.
    """

    name = "now-without-resync"
    severity = Severity.WARNING

    def faults(self, subject: Subject) -> Iterator[Fault]:
        """Yield a fault for each such clause of a rule without `resync`."""
        for parsed in subject.packs:
            for expression in parsed.expressions:
                match expression.path:
                    case ("spec", "rules", int(index), "when", int(number), *_):
                        rule = parsed.pack.rules[index]
                        clause = expression.program
                        if rule.resync is None and number in rule.reads_now and not _comparable(clause, rule):
                            message = f"when[{number + 1}] of rule {rule.name} depends on now in a way that says no time"
                            location = location_of(parsed, expression, 0)
                            yield self.fault(location, message, "resync, or one comparison with now in each clause")


class NeedlessResync(Check):
    """A rule is evaluated again and again for what it looks up, which evaluates it anyway.

    A lookup whose kind `targets` lets the pack `list` and `watch` is followed: a change of it evaluates the rule again for the
    objects that depend on it, at once. A `resync` beside it costs an evaluation of every object each time, and finds nothing
    new. It is of use where a condition depends on `now`, where something else is to be kept as it is, and beside `live`.
    """

    name = "needless-resync"
    severity = Severity.WARNING

    def faults(self, subject: Subject) -> Iterator[Fault]:
        """Yield a fault for each such rule that only notifies, or writes on its own object."""
        for parsed in subject.packs:
            for index, (rule, raw) in enumerate(zip(parsed.pack.rules, raw_rules(parsed), strict=True)):
                watched = {each.kind for each in parsed.pack.targets if {"list", "watch"} <= each.verbs}
                lookups = (raw.get("lookup") or {}).items()
                followed = all(rule.lookups[name].kind in watched and "live" not in each for name, each in lookups)
                keeps = any(entry.action.repeated(()) for entry in (*rule.actions, *rule.rescue))
                timed = rule.reads_now or rule.hold or rule.throttle is not None or rule.aggregate is not None
                if rule.resync is not None and lookups and followed and not (keeps or timed):
                    location = parsed.document.locate(("spec", "rules", index, "resync"))
                    message = f"rule {rule.name} is evaluated again by a change of what it looks up, and polls as well"
                    yield self.fault(location, message, "no resync")


def _comparable(clause: Program, rule: Rule) -> bool:
    """Return whether a clause, with the vars that it reads itself, names `now` once, in a comparison that has an order."""
    texts = [clause.source, *(rule.vars[name].source for name in used_names((clause,), "vars") if name in rule.vars)]
    named = [match for text in texts for match in _NOW.findall(text)]
    return named == ["now"] and any(sign in text for text in texts for sign in "<>")


class UnusedTarget(Check):
    """`targets` grants a verb that no rule of the pack uses.

    `rulepack rbac` and whoever reviews a pack go by `targets`: what nothing uses should not be there. `list` and `watch` together
    are for lookups, which are then followed; targets are read live, and reading the watched objects needs no entry.
    """

    name = "unused-target"
    severity = Severity.WARNING

    def faults(self, subject: Subject) -> Iterator[Fault]:
        """Yield a fault for each verb of each target that nothing needs; of packs with faults nothing is known."""
        for parsed in subject.sound():
            for index, target in enumerate(parsed.pack.targets):
                used = _used(parsed.pack, target)
                what = "any further kind" if target.kind.kind == "*" else f"{target.kind.kind} ({target.kind.api_version})"
                for number, verb in enumerate(parsed.document.value["spec"]["targets"][index]["verbs"]):
                    if verb not in used:
                        location = parsed.document.locate(("spec", "targets", index, "verbs", number))
                        yield self.fault(location, f"no rule uses {verb} on {what}", "only verbs that rules use")


def _used(pack: RulePack, target: Target) -> set[str]:
    """Return the verbs that rules use on a target; that for any kind stands for all that have no entry of their own."""
    needs = [need for rule in pack.rules for need in pack.rights(rule.needs())]
    exact = {each.kind for each in pack.targets}
    anything = target.kind.kind == "*"
    return {
        need.verb for need in needs if need.kind is None or (need.kind not in exact if anything else need.kind == target.kind)
    }
