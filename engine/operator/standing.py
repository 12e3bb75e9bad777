"""How a pack in force stands, for its status and the console: what its rules did, what waits, and why it cannot work."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from engine.model.observe import Act
from engine.operator.activity import Activity, timestamp
from engine.operator.caches import PackCaches
from engine.operator.rulepacks import LISTS, MISSING_RIGHT, WAITING_FOR_KIND
from engine.packs.pack import RulePack
from engine.packs.status import SUSPENDED, RuleCounts
from engine.reconcile.budgets import described, resumes_also
from engine.reconcile.generated import TO_KEEP
from engine.reconcile.waits import Waits

_ANSWER = re.compile(r"\d{3} [A-Za-z]+(?=: )")
"""How an answer of the API server begins, as ApiError writes it: its status and its reason."""


def counts(activity: Activity, pack: str, rule: str) -> RuleCounts:
    """Return what a rule did since the process began, for the status of its pack."""
    did = activity.of(pack, rule)
    time, act = did.fired or (None, None)
    ended, failure = did.ended or (None, None)
    return RuleCounts(
        fired=did.firings, failed=did.failures,
        suspended=sorted(activity.suspensions.get(pack, ())),
        last_firing="" if time is None else timestamp(time), last_object=str(act.object) if act else "",
        last_failure="" if ended is None else timestamp(ended), failure=_failure(failure) if failure else "",
    )  # fmt: skip


def counts_of(
    activity: Activity, pack: RulePack, waits: Waits, failing: Mapping[str, int], audited: Mapping[str, int]
) -> dict[str, RuleCounts]:
    """Return what each rule of a pack did, and what waits and is reported: how much, since when, and mostly for what.

    `failing` says for how many items rules fail now, `audited` for how many they would act.
    """
    reasons: dict[str, Counter[str]] = {}
    since: dict[str, float] = {}
    for _, wait in waits.overdue():
        if wait.pack == pack.identity:
            reasons.setdefault(wait.rule, Counter())[wait.obstacle.value] += wait.items
            since[wait.rule] = min(wait.since, since.get(wait.rule, wait.since))
    started = activity.started
    found = {
        rule.name: counts(activity, pack.identity, rule.name)._replace(
            failing=failing.get(rule.name, 0), audited=audited.get(rule.name, 0)
        )
        for rule in pack.rules
    }
    for name in found.keys() & reasons.keys():
        ((most, _),) = reasons[name].most_common(1)
        found[name] = found[name]._replace(
            waiting=reasons[name].total(), waiting_since=timestamp(started + since[name]), waiting_for=most
        )
    return found


def standing(activity: Activity, pack: RulePack, caches: PackCaches, resume: str) -> tuple[str, Sequence[str]]:
    """Return why a pack in force cannot work, in one word ('' where it can) and in sentences; `resume` has it go on."""
    if problems := caches.problems(pack.identity):
        return MISSING_RIGHT if caches.forbidden(pack.identity) else WAITING_FOR_KIND, problems
    if listing := caches.listing(pack):
        return LISTS, [f"{kind} is being listed" for kind in listing]
    why = _why_suspended(activity)
    if own := why.pop(pack.identity, None):
        others = [f"pack {name}: {each}" for name, reasons in sorted(why.items()) for each in reasons]
        keep = [TO_KEEP] if any(held.pack == pack.identity for held in activity.removals()) else []
        return SUSPENDED, ["; ".join([*own, f"to go on: {resume}{resumes_also(others)}", *keep])]
    return "", ()


def _why_suspended(activity: Activity) -> dict[str, list[str]]:
    """By pack why something of it is suspended."""
    spent = activity.spent.items()
    why = {pack: [f"the budget is spent for {', '.join(map(described, sorted(flows)))}"] for pack, flows in spent if flows}
    for held in activity.removals():
        why.setdefault(held.pack, []).append(str(held))
    return why


def _failure(act: Act) -> str:
    """Return which action failed for which object, and the API server's answer without its message, which may quote that."""
    answer = _ANSWER.match(act.detail)
    return f"{act.action} for {act.object}: {answer[0] if answer else act.result.value}; its Events and the log say why"
