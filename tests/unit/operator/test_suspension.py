"""A rule that is suspended, as an administrator meets it: /packs, the metric, the ConfigMap that has it go on."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from engine.kube.api import Selection
from engine.operator.wiring import Operator
from engine.packs.pack import RESUME
from tests.unit.operator.test_operator import CONFIG_MAP, WIDGET, Stage, ask

PACK = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: sweep}
spec:
  watch: {apiVersion: example.com/v1, kind: Widget}
  targets: [{apiVersion: example.com/v1, kind: Widget, verbs: [get, delete]}]
  rules:
    - name: big
      when: object.spec.size > 10
      actions:
        - delete: {target: {apiVersion: example.com/v1, kind: Widget, name: '${object.metadata.name}'}}
"""


@pytest.fixture
async def swept(tmp_path: Path) -> AsyncIterator[tuple[Stage, Operator]]:
    """An operator that may delete three widgets a minute, and meets eight that it should delete."""
    stage = Stage(tmp_path)
    (tmp_path / "pack.yaml").write_text(PACK)
    operator = stage.operator()
    async with stage.running(operator):
        await stage.config_map("rulepack-params", {"sweep": "disruptionsPerMinute: 3"})
        await stage.clock.advance(2)
        for number in range(8):
            await stage.widget(f"w{number}")
        await stage.clock.advance(120)
        yield stage, operator


async def left(stage: Stage) -> int:
    return len((await stage.cluster.list(Selection(WIDGET, "default"))).items)


async def shown(operator: Operator) -> tuple[Any, bool]:
    """Since when /packs says that the rule is suspended, and whether the metric does."""
    packs = json.loads((await ask(operator, "/packs"))[1])["packs"]
    metrics = (await ask(operator, "/metrics"))[1]
    return packs[0]["rules"][0]["suspendedSince"], 'rulepack_rule_suspended{pack="sweep",rule="big"} 1.0' in metrics


async def say(stage: Stage, word: str | None) -> None:
    await stage.cluster.patch(CONFIG_MAP, "system", "rulepack-params", {"metadata": {"annotations": {RESUME: word}}})


async def test_it_stands_still_and_is_seen(swept: tuple[Stage, Operator]) -> None:
    """Three are gone and no more, whatever time passes; /packs, the metric and one Event say why."""
    stage, operator = swept
    assert await left(stage) == 5
    since, measured = await shown(operator)
    assert since is not None
    assert measured

    await stage.clock.advance(3600)

    assert await left(stage) == 5
    assert (await shown(operator))[0] == since
    assert [event["reason"] for event in await stage.events("default")] == ["RuleSuspended"]
    assert (await ask(operator, "/healthz"))[0] == (await ask(operator, "/readyz"))[0] == 200


async def test_a_new_word_on_the_config_map_has_it_go_on(swept: tuple[Stage, Operator]) -> None:
    """All is done within some minutes, and nothing says any more that it is suspended; taking a word away does nothing."""
    stage, operator = swept
    await say(stage, "the widgets may go")
    await stage.clock.advance(35)
    assert await left(stage) == 2
    assert await shown(operator) == (None, False)
    await stage.clock.advance(120)
    assert await left(stage) == 0
    await stage.clock.advance(120)

    for number in range(8):
        await stage.widget(f"again{number}")
    await stage.clock.advance(2)
    await say(stage, None)
    await stage.clock.advance(120)
    assert await left(stage) == 5
    assert (await shown(operator))[1]


async def test_a_higher_budget_has_it_go_on(swept: tuple[Stage, Operator]) -> None:
    """Whoever raises disruptionsPerMinute, or lifts it by 0, has seen to it."""
    stage, operator = swept
    await stage.config_map("rulepack-params", {"sweep": "disruptionsPerMinute: 0"})
    await stage.clock.advance(35)
    assert await left(stage) == 0
    assert await shown(operator) == (None, False)


async def test_a_budget_must_be_a_whole_number(swept: tuple[Stage, Operator]) -> None:
    """Anything else is a fault that /packs tells, and the last good budget stays."""
    stage, operator = swept
    await stage.config_map("rulepack-params", {"sweep": "disruptionsPerMinute: -1"})
    await stage.clock.advance(120)
    assert await left(stage) == 5
    (fault,) = json.loads((await ask(operator, "/packs"))[1])["faults"]
    assert "configmap/rulepack-params/sweep:1:23" in fault
