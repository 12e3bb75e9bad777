"""Scenario h: what a feature flag switches off writes nothing, and what it audits says what it would write."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from engine.model.flags import Mode
from engine.model.objects import annotations_of, dig
from tests.e2e.argocd import ArgoCD
from tests.e2e.cluster import CONFIG_MAP, Cluster, eventually
from tests.e2e.engine import Engine
from tests.e2e.repository import in_wave
from tests.world import APPLICATION, JOB, RULES, job, named, shipped, trigger, triggers

SHIPPED = [shipped(path.parent.name) for path in sorted(RULES.glob("*/pack.yaml"))]
PACKS = sorted({pack.feature_flag for pack in SHIPPED})
#: The operator's role has no right for packs that are Off until somebody switches them on.
ON = sorted({pack.feature_flag for pack in SHIPPED if pack.default_mode is not Mode.OFF})


@pytest.fixture
def busy(argocd: ArgoCD, cluster: Cluster) -> str:
    """The name of an Application whose two jobs give every pack something to do."""
    name = cluster.namespace
    repository = argocd.repository(name)
    asks = triggers(trigger(APPLICATION, name, "refresh"))
    jobs = [in_wave(3, job("good", annotations=asks, namespace=name)), in_wave(3, job("bad", namespace=name))]
    repository.commit({"app.yaml": [*jobs, named(CONFIG_MAP, "served", name, data={"model": "first"})]})
    argocd.application(name, repository, name)
    argocd.sync(name)
    # Later than the packs come into force: what ended before is none of their business.
    ended = (datetime.now(UTC) + timedelta(seconds=50)).strftime("%Y-%m-%dT%H:%M:%SZ")
    cluster.status(JOB, "good", {"phase": "Succeeded", "completionTime": ended})
    cluster.status(JOB, "bad", {"phase": "Failed", "completionTime": ended})
    return name


def _annotated(cluster: Cluster, name: str, annotation: str) -> bool:
    return annotation in annotations_of(cluster.get(JOB, name))


def _logged(engine: Engine, text: str) -> bool:
    return text in engine.log()


def test_with_all_flags_off_nothing_is_written(cluster: Cluster, busy: str, stopped_engine: Engine) -> None:
    """Not one write comes from a pack that is Off, nor when another pack is switched on beside it."""
    engine = stopped_engine
    engine.flags(dict.fromkeys(PACKS, "Off"))
    engine.start()
    engine.ready()
    while_off = engine.writes()

    engine.flags({**dict.fromkeys(PACKS, "Off"), "sync-waves": "Enforce"})
    for name, annotation in (("good", "mlops.dev/wave-complete"), ("bad", "mlops.dev/wave-failed")):
        eventually(partial(_annotated, cluster, name, annotation), f"{annotation} on {name}")

    assert while_off == []
    assert {write.partition("?")[0].rpartition("/")[2] for write in engine.writes()} == {"good", "bad"}
    assert len(engine.writes()) == 2


def test_in_audit_nothing_is_written_and_the_differences_are_reported(
    argocd: ArgoCD, cluster: Cluster, busy: str, stopped_engine: Engine
) -> None:
    """With every pack that has rights on Audit not one write is made, and the log says what each would change."""
    engine = stopped_engine
    good, bad = (f"NotebookValidationJob {busy}/{name}" for name in ("good", "bad"))
    engine.flags(dict.fromkeys(ON, "Audit"))
    engine.start()
    engine.ready()

    for change in (
        f'sync-waves/wave-complete: {good}: would change metadata.annotations["mlops.dev/wave-complete"]: ∅ → "3"',
        f'sync-waves/wave-failed: {bad}: would change metadata.annotations["mlops.dev/wave-failed"]: ∅ → "3"',
        f"on-success-triggers/refresh-application: {good}: would change metadata.annotations: ∅ → ",
        f"application-status/publish: Application argocd/{busy}: would change metadata.annotations: ∅ → ",
        f"failure-notifications/report-failure: {bad}: emitEvent: Warning Event ValidationFailed: audited",
    ):
        eventually(partial(_logged, engine, change), f"line '{change}' in the log")

    assert engine.writes() == []
    assert len(dig(argocd.get(busy), ("status", "history"), [])) == 1
    assert cluster.events("bad") == []
