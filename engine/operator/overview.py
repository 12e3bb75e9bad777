"""The JSON data of /packs: the packs in force and how they fare, and what is known of one object; of objects only names."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from heapq import nsmallest
from operator import itemgetter
from typing import Any

from engine.model.flags import Mode
from engine.model.objects import ObjectKey, Ref, flow_of, ref_of
from engine.model.observe import Act
from engine.operator.activity import Activity, RuleActivity, timestamp
from engine.operator.caches import PackCaches
from engine.operator.selection import State
from engine.packs.catalog import Catalog
from engine.packs.pack import RulePack
from engine.packs.versions import Report
from engine.reconcile.budget import MANY
from engine.reconcile.budgets import described
from engine.reconcile.state import PackState, RuleState
from engine.reconcile.waits import Waits

SHOWN = 10
"""How many objects /packs names of those that wait for the same."""


def overview(
    activity: Activity, catalog: Catalog, caches: PackCaches, reports: Collection[Report], waits: Waits
) -> dict[str, Any]:
    """Return the packs in force, how they fare, and what is wrong with others, as JSON data; of objects kinds and names."""
    waiting = _waiting(waits, activity.started)
    return {
        "packs": [_pack(activity, catalog, pack, caches, waiting.get(name, {})) for name, pack in sorted(catalog.packs.items())],
        "faults": [str(fault) for report in reports for fault in report.faults],
        "warnings": [str(warning) for report in reports for warning in report.warnings],
    }


def known(activity: Activity, key: ObjectKey, states: Iterable[PackState]) -> dict[str, Any]:
    """Return by pack what is remembered of an object: timers and waits by rule, and for whom its budget is spent."""
    started, found, flow = activity.started, dict[str, Any](), flow_of(key)
    for pack, flows in activity.spent.items():
        if flow in flows or len(flows) >= MANY:
            found[pack] = {"suspended": described(flow), "rules": {}}
    for state in states:
        pack = found.setdefault(state.pack.identity, {"suspended": "", "rules": {}})
        for name, rule in state.rules.items():
            ended = activity.of(state.pack.identity, name).ended
            last = ended[1] if ended and _is_of(ended[1].object, key) and ended[0] >= started + (rule.fired_at or 0) else None
            pack["rules"][name] = _rule_data(rule, started) | ({"ended": last.result.value} if last else {})
    return found


def _waiting(waits: Waits, started: float) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Return what waits and is reported, by pack and rule: why, how many, since when, and the first few objects."""
    found: dict[tuple[str, str, str], list[tuple[float, int, str]]] = {}
    for key, wait in waits.overdue():
        found.setdefault((wait.pack, wait.rule, wait.obstacle.value), []).append((wait.since, wait.items, str(key)))
    waiting: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for (pack, rule, reason), each in sorted(found.items()):
        first = nsmallest(SHOWN, each)
        data = {"reason": reason, "items": sum(items for _, items, _ in each), "since": timestamp(started + first[0][0])}
        waiting.setdefault(pack, {}).setdefault(rule, []).append({**data, "objects": [name for _, _, name in first]})
    return waiting


def _pack(
    activity: Activity, catalog: Catalog, pack: RulePack, caches: PackCaches, waits: Mapping[str, list[dict[str, Any]]]
) -> dict[str, Any]:
    # one that is Off has none of its own, but another pack may have one of the same selection
    informers, followed = ([], []) if catalog.mode(pack) is Mode.OFF else (caches.of(pack), caches.followed(pack))
    waiting = [] if catalog.mode(pack) is Mode.OFF else [str(kind) for kind, waits in caches.waiting(pack).items() if waits]
    suspended = activity.suspensions.get(pack.identity, {})
    return {
        "name": pack.identity,
        "description": pack.description,
        "source": pack.source,
        "mode": catalog.mode(pack).value,
        "kind": ", ".join(map(str, pack.watches)),
        "waitingFor": ", ".join(waiting) or None,
        "objects": sum(len(informer.store.objects) for informer in informers),
        "suspended": len(activity.spent.get(pack.identity, ())) >= MANY,
        "suspendedFor": {flow: timestamp(since) for flow, since in sorted(suspended.items())},
        "leftOut": sorted({str(ref_of(obj)) for each in (*informers, *followed) for obj, _ in each.store.left_out.values()}),
        "watchErrors": sorted({informer.error for informer in informers if informer.state is State.FAILING}),
        "rules": [
            {"name": rule.name, "description": rule.description, "mode": catalog.mode(pack, rule).value}
            | _last_data(activity.of(pack.identity, rule.name))
            | {"waiting": waits.get(rule.name, [])}
            for rule in pack.rules
        ],
    }


def _last_data(did: RuleActivity) -> dict[str, Any]:
    """Return what a rule did last as JSON data.

    Without what went wrong: that may quote the object, so only the log and its Events say it.
    """
    last = max(filter(None, (did.fired, did.audited)), key=itemgetter(0), default=None)
    return {
        "lastFiring": _act_data(*last) if last else None,
        "lastError": _act_data(*did.failed) if did.failed else None,
    }


def _act_data(time: float, act: Act) -> dict[str, str]:
    return {"time": timestamp(time), "object": str(act.object), "action": act.action, "outcome": act.result.value}


def _rule_data(state: RuleState, started: float) -> dict[str, Any]:
    """Return timers and waits of a rule; `started` is the time that the monotonic clock counts from."""
    items = state.firing.items.values() if state.firing is not None else ()
    stalled = [(item.stall, item.retry_at) for item in items if item.ended is None and item.stall is not None]
    stalled += [(state.stall, state.stall.since)] if state.stall is not None else []
    waiting = [
        {"reason": reason, "items": len(each), "since": timestamp(started + min(stall.since for stall, _ in each)),
         "retryAt": timestamp(started + min(retry_at for _, retry_at in each))}
        for reason in dict.fromkeys(stall.obstacle.value for stall, _ in stalled)
        if (each := [(stall, retry_at) for stall, retry_at in stalled if stall.obstacle.value == reason])
    ]  # fmt: skip
    times = {"trueSince": state.true_since, "firedAt": state.fired_at}
    return {name: timestamp(started + at) for name, at in times.items() if at is not None} | {"waiting": waiting}


def _is_of(ref: Ref, key: ObjectKey) -> bool:
    return (ref.kind, ref.namespace, ref.name) == (key.kind, key.namespace, key.name)
