"""A namespace that is suspended, as an administrator meets it: /packs, the metric, the ConfigMap that has it go on."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from engine.kube.api import Selection
from engine.operator.wiring import Operator
from engine.packs.pack import RESUME
from tests.unit.operator.test_operator import CONFIG_MAP, WIDGET, Fixture, ask

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


SERIES = 'rulepack_namespace_suspended{pack="sweep",watched_namespace="default"} 1.0'


@pytest.fixture
async def swept(tmp_path: Path) -> AsyncIterator[tuple[Fixture, Operator]]:
    """An operator that may delete three widgets a minute, and meets eight that it should delete."""
    fixture = Fixture(tmp_path)
    (tmp_path / "pack.yaml").write_text(PACK)
    operator = fixture.operator()
    async with fixture.running(operator):
        await fixture.config_map("rulepack-params", {"sweep": "disruptionsPerMinute: 3"})
        await fixture.clock.advance(2)
        for number in range(8):
            await fixture.widget(f"w{number}")
        await fixture.clock.advance(120)
        yield fixture, operator


async def left(fixture: Fixture) -> int:
    return len((await fixture.cluster.list(Selection(WIDGET, "default"))).items)


async def shown(operator: Operator) -> tuple[Any, bool]:
    """Since when /packs says that the pack is suspended for a namespace, and whether the metric does."""
    packs = json.loads((await ask(operator, "/packs"))[1])["packs"]
    metrics = (await ask(operator, "/metrics"))[1]
    return packs[0]["suspendedFor"].get("default"), SERIES in metrics


async def say(fixture: Fixture, word: str | None) -> None:
    await fixture.cluster.patch(CONFIG_MAP, "system", "rulepack-params", {"metadata": {"annotations": {RESUME: word}}})


async def test_it_stands_still_and_is_seen(swept: tuple[Fixture, Operator]) -> None:
    """Three are gone and no more, whatever time passes; /packs, the metric and an Event on each of the others say why."""
    fixture, operator = swept
    assert await left(fixture) == 5
    since, measured = await shown(operator)
    assert since is not None
    assert measured

    await fixture.clock.advance(3600)

    assert await left(fixture) == 5
    assert (await shown(operator))[0] == since
    events = await fixture.events("default")
    assert [event["reason"] for event in events] == ["NamespaceSuspended"] * 5
    assert sorted(event["involvedObject"]["name"] for event in events) == ["w3", "w4", "w5", "w6", "w7"]
    assert (await ask(operator, "/healthz"))[0] == (await ask(operator, "/readyz"))[0] == 200


async def test_a_new_word_on_the_config_map_has_it_go_on(swept: tuple[Fixture, Operator]) -> None:
    """At once, and all is done within some minutes; nothing calls it suspended any more. Taking a word away does nothing."""
    fixture, operator = swept
    await say(fixture, "the widgets may go")
    await fixture.clock.advance(2)
    assert await left(fixture) == 2
    assert await shown(operator) == (None, False)
    await fixture.clock.advance(120)
    assert await left(fixture) == 0
    await fixture.clock.advance(120)

    for number in range(8):
        await fixture.widget(f"again{number}")
    await fixture.clock.advance(2)
    await say(fixture, None)
    await fixture.clock.advance(120)
    assert await left(fixture) == 5
    assert (await shown(operator))[1]


async def test_a_higher_budget_has_it_go_on(swept: tuple[Fixture, Operator]) -> None:
    """Whoever raises disruptionsPerMinute, or lifts it by 0, has seen to it."""
    fixture, operator = swept
    await fixture.config_map("rulepack-params", {"sweep": "disruptionsPerMinute: 0"})
    await fixture.clock.advance(2)
    assert await left(fixture) == 0
    assert await shown(operator) == (None, False)


async def test_a_budget_must_be_a_whole_number(swept: tuple[Fixture, Operator]) -> None:
    """Anything else is a fault that /packs shows, and the last good budget stays."""
    fixture, operator = swept
    await fixture.config_map("rulepack-params", {"sweep": "disruptionsPerMinute: -1"})
    await fixture.clock.advance(120)
    assert await left(fixture) == 5
    (fault,) = json.loads((await ask(operator, "/packs"))[1])["faults"]
    assert "configmap/rulepack-params/sweep:1:23" in fault


async def test_in_audit_nothing_is_suspended(swept: tuple[Fixture, Operator]) -> None:
    """It has nothing to do then; back in Enforce, what was suspended still is."""
    fixture, operator = swept
    seen = []
    for mode in ("Audit", "Enforce"):
        await fixture.config_map("rulepack-feature-flags", {"sweep": mode})
        await fixture.clock.advance(120)
        seen.append(((await shown(operator))[0] is not None, (await shown(operator))[1], await left(fixture)))

    assert seen == [(False, False, 5), (True, True, 5)]
