"""Checks an `expect`: what must be so now, and what must have happened since the last one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from engine.cel import Path
from engine.errors import ApiError
from engine.kube.faults import Call
from engine.model.objects import Kind, Object, Ref, kind_of, labels_of, metadata
from engine.model.observe import Act
from engine.model.text import suggestion
from engine.packs.metrics import MetricSpec
from engine.reconcile.record import PREFIX
from engine.testing.match import Difference, differences, shown, unmatched
from engine.testing.schema import DEFAULT_NAMESPACE, ActPattern, ExpectSpec
from engine.testing.world import World

EVENT = Kind("v1", "Event")

Failed = tuple[Path, str, tuple[str, ...]]
"""Where in the `expect` something is not so, what, and the lines of the difference."""


class Marks:
    """What has happened up to the last `expect`."""

    def __init__(self) -> None:
        self.acts = self.evaluations = self.measurements = self.writes = self.requests = 0
        self.events: dict[str, int] = {}

    async def move(self, world: World) -> None:
        """Everything up to now has been checked."""
        self.acts, self.evaluations = len(world.seen.acts), len(world.seen.evaluations)
        self.measurements, self.writes = len(world.seen.measurements), len(world.engine.writes)
        self.requests = len(world.http.requests)
        self.events = {_uid(event): event.get("count", 1) for event in await world.all(EVENT)}


async def check(expected: ExpectSpec, world: World, marks: Marks, metrics: Mapping[str, MetricSpec]) -> list[Failed]:
    """Everything that is not as expected."""
    failed: list[Failed] = []
    for index, wanted in enumerate(expected.objects):
        failed += await _object(wanted, world, ("objects", index))
    for index, ref in enumerate(expected.absent):
        if await _find(world, Kind(ref.api_version, ref.kind), ref.namespace, ref.name) is not None:
            failed.append((("absent", index), f"{ref.kind} {ref.namespace}/{ref.name} is there", ("expected it to be absent",)))
    if expected.events is not None:
        failed += _events(_patterns(expected.events), await world.all(EVENT), world, marks)
    if expected.acts is not None:
        failed += _acts(expected.acts, world, marks)
    if expected.metrics is not None:
        measured = _measured(world.seen.measurements[marks.measurements :], metrics)
        failed += _all("metrics", "metric", [_full(pattern) for pattern in expected.metrics], measured)
    if expected.http is not None:
        failed += _all("http", "request", _patterns(expected.http), world.http.requests[marks.requests :])
    failed += _writes(expected, world, marks)
    failed += _rules(expected.rules, world)
    return failed


def _events(patterns: Sequence[Any], there: Sequence[Object], world: World, marks: Marks) -> Iterator[Failed]:
    """Check the Events that are new, or of which the count was raised; say of the latter why it was."""
    found = [event for event in there if event.get("count", 1) > marks.events.get(_uid(event), 0)]
    raised = tuple(dict.fromkeys(_raised(event, world) for event in found if _uid(event) in marks.events))
    for path, what, lines in _all("events", "Event", patterns, [_event(event) for event in found]):
        yield path, what, (*lines, *raised)


def _raised(event: Object, world: World) -> str:
    """Say why the count of an Event was raised."""
    rules = {f"{pack.identity}.{rule.name}": rule for pack in world.catalog.packs.values() for rule in pack.rules}
    rule = rules.get(str(event.get("reportingInstance")))
    why = ": the rule has no oncePer, so it fires at each evaluation" if rule is not None and rule.once_per is None else ""
    return f"  the Event {event.get('reason')} is not new, its count was raised{why}"


def _own_records(calls: Sequence[Call]) -> Iterator[str]:
    """Yield a line for each write of nothing but firing records, which no action asks for."""
    for call in calls:
        rules = [key.removeprefix(PREFIX) for key in call.annotations if key.startswith(PREFIX)]
        if rules and len(rules) == len(call.annotations):
            what = f"the firing record or timer of {' and '.join(rules)}, which the engine keeps itself"
            yield f"  {call.verb} {call.ref} is {what}; acts: [] expects that no action does anything"


def _acts(patterns: Sequence[ActPattern], world: World, marks: Marks) -> Iterator[Failed]:
    for index, pattern in enumerate(patterns):
        if pattern.rule is not None and (unknown := _unknown_rule(pattern.rule, world)):
            yield ("acts", index, "rule"), unknown, ()
    yield from _all("acts", "act", _patterns(patterns), [_act(act) for act in world.seen.acts[marks.acts :]])


def _writes(expected: ExpectSpec, world: World, marks: Marks) -> Iterator[Failed]:
    """Check all that the engine has written; what is its own is marked."""
    writes = world.writes[marks.writes :]
    own = tuple(dict.fromkeys(_own_records(world.engine.writes[marks.writes :])))
    for path, what, lines in _all("writes", "write", expected.writes, writes) if expected.writes is not None else ():
        yield path, what, (*lines, *own)
    sent = [f"{request['method']} {request['url']}" for request in world.http.requests[marks.requests :]]
    if expected.nothing and (writes or sent):
        yield ("nothing",), "the engine has written", (*(f"  + {write}" for write in (*writes, *sent)), *own)


async def _object(wanted: Mapping[str, Any], world: World, path: Path) -> list[Failed]:
    meta = metadata(wanted)
    kind, name, namespace = kind_of(wanted), str(meta.get("name", "")), str(meta.get("namespace", DEFAULT_NAMESPACE))
    found = await _find(world, kind, namespace, name)
    if found is None:
        return [(path, f"{kind.kind} {namespace}/{name} is not there", ())]
    identity = {"apiVersion", "kind", "metadata"}
    wanted = {**{key: wanted[key] for key in wanted if key not in identity},
              "metadata": {key: value for key, value in meta.items() if key not in ("name", "namespace")}}  # fmt: skip
    return [_difference(f"{kind.kind} {namespace}/{name}", path, each) for each in differences(wanted, found)]


async def _find(world: World, kind: Kind, namespace: str, name: str) -> Object | None:
    try:
        return await world.get(kind, name, namespace)
    except ApiError:
        return None


def _difference(what: str, path: Path, difference: Difference) -> Failed:
    return ((*path, *difference.path), f"{what} is not as expected", difference.lines())


def _all(key: str, what: str, patterns: Sequence[Any], found: Sequence[Any]) -> list[Failed]:
    """Every pattern has one of what was found, and nothing else was found."""
    missing, left = unmatched(patterns, found)
    if len(missing) == len(left) == 1:
        return [_difference(f"the {what}", (key, missing[0]), each) for each in differences(patterns[missing[0]], left[0])]
    failed: list[Failed] = []
    for index in missing:
        there = tuple(f"  + found    {shown(each)}" for each in left) or ("  + found    none",)
        failed.append(((key, index), f"no {what} is as expected", (f"  - expected {shown(patterns[index])}", *there)))
    if left and not missing:
        failed.append(((key,), f"there is an unexpected {what}", tuple(f"  + found    {shown(each)}" for each in left)))
    return failed


def _rules(expected: Mapping[str, str], world: World) -> Iterator[Failed]:
    for name, result in expected.items():
        evaluations = [(each, reason) for rule, each, reason in world.seen.evaluations if name in (rule, rule.partition("/")[2])]
        if unknown := _unknown_rule(name, world):
            yield ("rules", name), unknown, ()
        elif not evaluations:
            yield ("rules", name), f"rule {name} was not evaluated", ()
        elif evaluations[-1][0] != result:
            found, reason = evaluations[-1]
            because = f" ({reason})" if reason else ""
            yield (
                ("rules", name),
                f"rule {name} has another result",
                (f"  - expected {result}", f"  + found    {found}{because}"),
            )


def _unknown_rule(name: str, world: World) -> str:
    """Say that no pack has a rule, '' where one has."""
    rules = [f"{pack.identity}/{rule.name}" for pack in world.catalog.packs.values() for rule in pack.rules]
    known = {rule if "/" in name else rule.partition("/")[2] for rule in rules}
    return "" if name in known else f"there is no rule {name!r}; expected {suggestion(name, known)}"


def _patterns(specs: Sequence[BaseModel]) -> list[dict[str, Any]]:
    return [spec.model_dump(by_alias=True, exclude_unset=True) for spec in specs]


def _full(spec: BaseModel) -> dict[str, Any]:
    """A pattern with its defaults: metrics with other labels are other metrics."""
    return spec.model_dump(by_alias=True)


def _uid(event: Object) -> str:
    return str(metadata(event)["uid"])


def _event(event: Object) -> dict[str, Any]:
    return {
        "type": event.get("type"), "reason": event.get("reason"), "message": event.get("message"),
        "regarding": event.get("involvedObject"), "labels": dict(labels_of(event)),
    }  # fmt: skip


def _act(act: Act) -> dict[str, Any]:
    return {
        "pack": act.pack, "rule": act.rule, "action": act.action, "outcome": str(act.result), "object": _plain(act.object),
        "target": _plain(act.target), "item": act.item, "detail": act.detail, "diff": list(act.diff),
    }  # fmt: skip


def _plain(ref: Ref) -> str:
    return str(ref)


def _measured(
    measurements: Sequence[tuple[str, Mapping[str, str], float]], metrics: Mapping[str, MetricSpec]
) -> list[dict[str, Any]]:
    """What was measured, added up as the metric's type does."""
    totals: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    for name, labels, value in measurements:
        key = (name, tuple(sorted(labels.items())))
        kind = metrics[name].type if name in metrics else "counter"
        totals[key] = {"gauge": value, "histogram": totals.get(key, 0) + 1}.get(kind, totals.get(key, 0) + value)
    return [{"name": name, "labels": dict(labels), "value": value} for (name, labels), value in totals.items()]
