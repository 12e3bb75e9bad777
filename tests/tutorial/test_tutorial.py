"""docs/tutorial.md: every command of it works, in order, and what it puts into a cluster takes effect there."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from engine.cel import backend
from engine.kube.api import Selection
from engine.kube.embedded import EmbeddedCluster
from engine.kube.fake_clock import FakeClock
from engine.model.objects import Kind, Object, labels_of
from engine.operator.settings import OPERATOR_NAMESPACE, Settings
from engine.operator.wiring import Operator
from tests.tutorial.play import missing, play

PAGE = "docs/tutorial.md"
CONFIG_MAP, DEPLOYMENT, EVENT, NAMESPACE = (
    Kind("v1", "ConfigMap"), Kind("apps/v1", "Deployment"), Kind("v1", "Event"), Kind("v1", "Namespace"),
)  # fmt: skip


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What the tutorial's commands print, and the folder with what they gave to kubectl."""
    return play(PAGE, tmp_path_factory.mktemp("tutorial"))


def test_every_command_does_what_the_tutorial_says(played: tuple[str, Path]) -> None:
    """The outputs that it shows are those that come."""
    output, _ = played
    assert missing(PAGE, output) == []
    assert output.count("exit status 1") == 2


async def test_the_pack_takes_effect_in_a_cluster(played: tuple[str, Path], tmp_path: Path) -> None:
    """In Audit nothing is written; in Enforce the Deployment is marked after ten minutes, as its parameter says."""
    clock = FakeClock()
    cluster = EmbeddedCluster(clock)
    for name in (OPERATOR_NAMESPACE, "shop"):
        await cluster.create(await cluster.discover(NAMESPACE), "", {"metadata": {"name": name}})
    for name in ("watch-web", "rulepack-feature-flags", "rulepack-params"):
        obj = json.loads((played[1] / f"{name}.json").read_text())
        await cluster.create(await cluster.discover(CONFIG_MAP), OPERATOR_NAMESPACE, obj)
    (tmp_path / "empty.yaml").write_text("")
    settings = Settings(operator_namespace=OPERATOR_NAMESPACE, rules=(tmp_path,), address="127.0.0.1", port=0)
    stop = asyncio.Event()
    running = asyncio.create_task(Operator(cluster, settings, clock, backend()).run(stop))
    await clock.advance(5)
    await _deploy(cluster)

    await clock.advance(700)
    audited = labels_of(await _find(cluster, DEPLOYMENT, "shop", "web"))
    flags = await cluster.discover(CONFIG_MAP)
    enforce = json.loads((played[1] / "rulepack-feature-flags-patch.json").read_text())
    await cluster.patch(flags, OPERATOR_NAMESPACE, "rulepack-feature-flags", enforce)
    await clock.advance(700)
    enforced = labels_of(await _find(cluster, DEPLOYMENT, "shop", "web"))
    events = (await cluster.list(Selection(await cluster.discover(EVENT), "shop"))).items
    status = (await _find(cluster, CONFIG_MAP, OPERATOR_NAMESPACE, "watch-web"))["metadata"]["annotations"]
    stop.set()
    await clock.advance(30)
    await running

    assert (audited, enforced) == ({}, {"example.com/unavailable": "look-at-me"})
    assert [event["reason"] for event in events] == ["NotAvailable"]
    assert status["rules.mlops.dev/status"] == "ok"


async def _deploy(cluster: EmbeddedCluster) -> None:
    """A Deployment that is not available."""
    resource = await cluster.discover(DEPLOYMENT)
    condition = {"type": "Available", "status": "False", "lastTransitionTime": "2026-01-24T22:00:00Z"}
    body: dict[str, Any] = {"metadata": {"name": "web"}}
    await cluster.create(resource, "shop", body)
    await cluster.patch(resource, "shop", "web", {"status": {"conditions": [condition]}}, subresource="status")


async def _find(cluster: EmbeddedCluster, kind: Kind, namespace: str, name: str) -> Object:
    return await cluster.get(await cluster.discover(kind), namespace, name)
