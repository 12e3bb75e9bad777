"""What /packs tells people: the packs in force, how they fare, and what is wrong with packs that are not."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from engine.model.flags import Mode
from engine.operator.activity import Activity, RuleActivity
from engine.operator.caches import PackCaches
from engine.operator.informer import State
from engine.packs.catalog import Catalog
from engine.packs.pack import RulePack
from engine.packs.store import Report


def overview(catalog: Catalog, caches: PackCaches, activity: Activity, reports: Collection[Report]) -> dict[str, Any]:
    """JSON data; of objects it holds kinds and names only."""
    return {
        "packs": [_pack(catalog, pack, caches, activity) for _, pack in sorted(catalog.packs.items())],
        "faults": [str(fault) for report in reports for fault in report.faults],
        "warnings": [str(warning) for report in reports for warning in report.warnings],
    }


def _pack(catalog: Catalog, pack: RulePack, caches: PackCaches, activity: Activity) -> dict[str, Any]:
    informers = [] if catalog.mode(pack) is Mode.OFF else caches.of(pack)  # another pack may have one of the same selection
    waiting = any(informer.state is State.WAITING for informer in informers)
    return {
        "name": pack.name,
        "description": pack.description,
        "source": pack.source,
        "mode": catalog.mode(pack).value,
        "kind": str(pack.watch.kind),
        "waitingFor": str(pack.watch.kind) if waiting else None,
        "objects": sum(len(informer.cache) for informer in informers),
        "watchErrors": sorted({informer.error for informer in informers if informer.state is State.FAILING}),
        "rules": [
            {
                "name": rule.name,
                "description": rule.description,
                "mode": catalog.mode(pack, rule).value,
                "lastFiring": done.last_firing,
                "lastError": done.last_error,
                "suspendedSince": done.suspended_since,
            }
            for rule in pack.rules
            for done in [activity.rules.get((pack.name, rule.name), RuleActivity())]
        ],
    }
