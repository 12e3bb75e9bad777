"""Checks of what rules do: how often, with what, and whether they use what `targets` grants."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from engine.actions import ACTIONS
from engine.cel import Path, Program
from engine.cel.uses import used_names, with_vars
from engine.errors import Fault
from engine.packs.declarations import needed_through
from engine.packs.lint.base import Check, Severity, Subject, location_of, raw_rules
from engine.packs.pack import RulePack, Target
from engine.packs.parse import ParsedPack
from engine.packs.rule import Rule, RuleAction

_SAME_FOR_EVER = frozenset(
    {("object", "apiVersion"), ("object", "kind")}
    | {("object", "metadata", field) for field in ("creationTimestamp", "name", "namespace", "uid")}
)
"""What never changes of an object."""
_STATE = frozenset({"object", "oldObject", "target", "lookup", "results", "now"})
"""Variables whose values may differ from one evaluation to the next, by what has been written too."""
_READING, _REMOVING = frozenset({"get", "list"}), frozenset({"delete", "evict"})
_NOW = re.compile(r"\bnow\b(?:\.get\w+)?")


class MissingOncePer(Check):
    """A rule changes objects, or counts, and nothing says how often.

    Without `oncePer` a rule fires at every change of the watched object for as long as its conditions hold: pods are deleted
    again, counters count on, and whoever changes the target otherwise is overwritten. Name the occasion, such as
    `oncePer: object.metadata.uid + '/' + object.status.completionTime`. A rule that keeps something as it should be, rather
    than doing something once, says so with `throttle` or `resync`;
    `oncePer` would not do again what somebody has undone, while it gives the same value. Nothing is to be said where a repeat
    writes nothing: of labels and annotations of the watched object, of fields set to constants, of a target named after the
    watched object whose fields depend on that only, and of deleting the watched object itself.
    """

    name = "missing-once-per"
    severity = Severity.WARNING

    def faults(self, subject: Subject) -> Iterator[Fault]:
        """Yield a fault for the first such action of each rule."""
        for parsed in subject.packs:
            counters = [name for name, metric in parsed.pack.metrics.items() if metric.type != "gauge"]
            for index, (rule, raw) in enumerate(zip(parsed.pack.rules, raw_rules(parsed), strict=True)):
                if rule.once_per or rule.throttle is not None or rule.resync is not None or rule.aggregate or rule.on == "Delete":
                    continue
                entries = [*rule.actions, *rule.rescue]
                places = [
                    (("spec", "rules", index, part, number), text)
                    for part in ("actions", "rescue")
                    for number, text in enumerate(raw.get(part) or ())
                ]
                if len(entries) == len(places):  # an action with a fault is left out
                    together = zip(entries, places, strict=True)
                    entries = [entry for entry, place in together if not _harmless(parsed, rule, place[0], entry, place[1])]
                repeated = ((entry, entry.action.repeated(counters)) for entry in entries)
                for entry, what in ((entry, what) for entry, what in repeated if what):
                    message = f"rule {rule.name} has no oncePer, and {what} whenever it is evaluated"
                    yield self.fault(entry.location, message, "oncePer, or throttle where it is meant to be kept so")
                    break


def _harmless(parsed: ParsedPack, rule: Rule, path: Path, entry: RuleAction, text: Mapping[str, Any]) -> bool:
    """Return whether a repeat of an action, which stands at a path, writes nothing.

    It sets fields to what depends neither on the target nor, where several watched objects may have one target, on the watched
    object; or it deletes the watched object itself.
    """
    spec = text[entry.action.name] or {}
    target, own = spec.get("target"), not spec.keys() & {"target", "targets"}
    writes = list(ACTIONS[entry.action.name].metadata(spec))
    if not writes:
        verbs = {need.verb for need in entry.action.needs()} - _READING
        return own and bool(verbs) and verbs <= _REMOVING
    here, written = (*path, entry.action.name), ACTIONS[entry.action.name].written
    fields = [(*here, *write.path) for write in writes if not own or write.part == "fields"]
    own_metadata = [(*here, *write.path) for write in writes if own and write.part != "fields"]
    programs = [
        each.program
        for each in parsed.expressions
        if _below(each.path, fields) and not _below(each.path, own_metadata) and each.path[len(here)] in written
    ]
    variables = {name for program in with_vars(programs, rule.vars) for name in program.variables}
    if own:
        return variables.isdisjoint(_STATE)
    of_one = isinstance(target, Mapping) and "object" in str(target.get("name"))  # so that each object writes on its own target
    return variables.isdisjoint(_STATE - {"object"} if of_one else _STATE)


def _below(path: Path, parts: Sequence[Path]) -> bool:
    return any(path[: len(part)] == part for part in parts)


class MissingAgeFrom(Check):
    """A rule changes objects once for each occasion, and nothing says when an occasion was.

    When such a rule first comes into force, it acts for everything that is already so: on a cluster with a thousand jobs that
    succeeded last year, it restarts what each of them is about. Say since when it is so, such as
    `existing: {ageFrom: object.status.completionTime}`; what that puts before the rule is then left alone. Where catching up
    is meant, say `existing: CatchUp`.

    With `Ignore` or `maxAge` and no `ageFrom` the creation of the object counts. Where `oncePer` names what may change later,
    such as the content of a ConfigMap, an object that is older than the rule is then left alone for ever.
    """

    name = "missing-age-from"
    severity = Severity.WARNING

    def faults(self, subject: Subject) -> Iterator[Fault]:
        """Yield a fault for the first action on another object of each rule that says nothing of what exists, or too little."""
        for parsed in subject.packs:
            for index, (rule, raw) in enumerate(zip(parsed.pack.rules, raw_rules(parsed), strict=True)):
                if rule.once_per is None or rule.schedule or rule.on == "Delete":
                    continue
                if "existing" in raw:
                    if _never_again(rule):
                        location = parsed.document.locate(("spec", "rules", index, "existing"))
                        message = (
                            f"rule {rule.name} leaves alone what was created before it, also when oncePer gives another value"
                        )
                        yield self.fault(location, message, "ageFrom, the time since when it is so, or existing: CatchUp")
                    continue
                for entry in (entry for entry in rule.actions if entry.action.repeated(())):
                    message = f"rule {rule.name} does not say when an occasion was, and {entry.action.repeated(())}"
                    yield self.fault(entry.location, message, "existing with ageFrom, or existing: CatchUp where that is meant")
                    break


def _never_again(rule: Rule) -> bool:
    """Return whether a rule goes by the creation of an object for occasions that may come later."""
    assert rule.once_per is not None
    if rule.existing.age_from is not None or (rule.existing.policy == "CatchUp" and rule.existing.max_age is None):
        return False
    needed = with_vars([rule.once_per], rule.vars)
    return any(path not in _SAME_FOR_EVER for program in needed for path in program.reads if path[0] != "vars")


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
    """A condition depends on `now`, and not by one comparison that is true from some time on; or what an aggregate counts does.

    A condition such as `now - timestamp(object.status.startTime) > duration('1h')` is evaluated again when it becomes true. Of
    one that names `now` twice, takes the hour of it, or is true for a while only, the engine cannot know when that is, so a
    change of the object has to come by. Say with `resync` how often to evaluate it, or write a clause for each comparison.

    In an `aggregate`, write the comparison as a clause of `when`, or say `resync`.
    """

    name = "now-without-resync"
    severity = Severity.WARNING

    def faults(self, subject: Subject) -> Iterator[Fault]:
        """Yield a fault for each such expression of a rule without `resync`."""
        for parsed in subject.packs:
            for expression in parsed.expressions:
                match expression.path:
                    case ("spec", "rules", int(index), *below) if parsed.pack.rules[index].resync is None:
                        if untimed := _untimed(below, expression.program, parsed.pack.rules[index]):
                            yield self.fault(location_of(parsed, expression, 0), *untimed)


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


def _untimed(below: Sequence[str | int], program: Program, rule: Rule) -> tuple[str, str] | None:
    """Return what depends on `now` without saying when it is another, and what is expected; None where nothing does."""
    match below:
        case ("when", int(number), *_) if number in rule.reads_now and not _comparable(program, rule):
            message = f"when[{number + 1}] of rule {rule.name} depends on now in a way that says no time"
            return message, "resync, or one comparison with now in each clause"
        case ("aggregate", "by" | "counts" | "lists" | "sum" | "min" | "max" as part, *_):
            if any("now" in each.variables for each in with_vars([program], rule.vars)):
                message = f"aggregate.{part} of rule {rule.name} depends on now, and no change says when it is another"
                return message, "resync, or the comparison as a clause of when"
    return None


def _comparable(clause: Program, rule: Rule) -> bool:
    """Return whether a clause, with the vars that it reads itself, names `now` once, in a comparison that has an order."""
    texts = [clause.source, *(rule.vars[name].source for name in used_names((clause,), "vars") if name in rule.vars)]
    named = [match for text in texts for match in _NOW.findall(text)]
    return named == ["now"] and any(sign in text for text in texts for sign in "<>")


class UnusedTarget(Check):
    """`targets` grants a verb that no rule of the pack uses.

    `rulepack rbac` and whoever reviews a pack go by `targets`: what nothing uses should not be there. `list` and `watch` together
    are for lookups, which are then followed; targets are read live. Watching objects needs no entry, but acting on them does:
    `delete: {}` needs `get` and `delete` on the watched kind.
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
