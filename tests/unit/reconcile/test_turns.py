"""However much there is to evaluate: everybody else gets a turn after each evaluation."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
import yaml

from engine.cel import backend
from engine.model.objects import Kind, annotations_of
from engine.packs.parse import parse_pack
from tests.world import APPLICATION, World, named

CONFIG = Kind("v1", "ConfigMap")
TEXT = "x" * 200_000
DEAR = "object.data.list.split(',').filter(each, int(each) < 60).all(each, !object.data.text.contains('x' + each))"
"""Costs most of what an evaluation may cost, and is true."""


class Others:
    """Everybody else: how often they got a turn, and the longest CPU time that they waited for one."""

    def __init__(self) -> None:
        self.turns, self.longest = 0, 0.0

    async def go(self) -> None:
        while True:
            before = time.process_time()
            await asyncio.sleep(0)
            self.turns, self.longest = self.turns + 1, max(self.longest, time.process_time() - before)


async def others_during(world: World, capsys: pytest.CaptureFixture[str]) -> Others:
    others = Others()
    going = asyncio.create_task(others.go())
    await world.settle()
    going.cancel()
    with capsys.disabled():
        print(f"\nlongest wait for a turn: {others.longest * 1000:.0f} ms of CPU time, {others.turns} turns")
    return others


def pack(**spec: Any) -> Any:
    body = {
        "apiVersion": "rules.mlops.dev/v1alpha1", "kind": "RulePack", "metadata": {"name": "p"},
        "spec": {"watch": {"apiVersion": "v1", "kind": "ConfigMap"}, **spec},
    }  # fmt: skip
    (found,) = parse_pack(yaml.safe_dump(body), "pack.yaml", backend())
    return found


def config(name: str = "c") -> Any:
    return named(CONFIG, name, data={"text": TEXT, "list": ",".join(map(str, range(2000)))})


async def test_costly_actions_take_turns(capsys: pytest.CaptureFixture[str]) -> None:
    """Fifty actions of one rule, each with a costly condition of its own, are fifty turns and not one."""
    action = {"when": DEAR, "annotate": {"annotations": {"a": "b"}}}
    world = World(pack(rules=[{"name": "r", "oncePer": "object.metadata.uid", "actions": [action] * 50}]))
    await world.create(config())

    others = await others_during(world, capsys)

    assert annotations_of(await world.get(CONFIG, "c"))["a"] == "b"
    assert others.turns >= 20


async def test_costly_lookups_take_turns(capsys: pytest.CaptureFixture[str]) -> None:
    """And the names of what a rule looks up."""
    name = "${" + DEAR + " ? 'other' : 'none'}"
    lookup = {f"other{number}": {"apiVersion": "v1", "kind": "ConfigMap", "name": name} for number in range(20)}
    targets = [{"apiVersion": "v1", "kind": "ConfigMap", "verbs": ["get"]}]
    action = {"annotate": {"annotations": {"a": "b"}}}
    rule = {"name": "r", "lookup": lookup, "when": "lookup.other19 != null", "actions": [action]}
    world = World(pack(targets=targets, rules=[rule]))
    await world.create(config(), named(CONFIG, "other", data={}))

    others = await others_during(world, capsys)

    assert annotations_of(await world.get(CONFIG, "c")).get("a") == "b"
    assert others.turns >= 8


async def test_counting_costly_members_takes_turns(capsys: pytest.CaptureFixture[str]) -> None:
    """And the objects that are all counted at once when an aggregate begins."""
    aggregate = {
        "by": "'web'",
        "target": {"apiVersion": APPLICATION.api_version, "kind": APPLICATION.kind, "name": "${groupKey}", "namespace": "ns"},
        "counts": {"all": DEAR},
    }
    targets = [{"apiVersion": APPLICATION.api_version, "kind": APPLICATION.kind, "verbs": ["get", "list", "patch"]}]
    action = {"annotate": {"annotations": {"all": "${string(group.all)}"}}}
    world = World(pack(targets=targets, rules=[{"name": "r", "aggregate": aggregate, "actions": [action]}]))
    await world.create(*(config(f"c{number}") for number in range(40)), named(APPLICATION, "web"))

    others = await others_during(world, capsys)

    assert annotations_of(await world.get(APPLICATION, "web"))["all"] == "40"
    assert others.turns >= 40


async def test_inputs_share_what_may_be_parsed() -> None:
    """Twenty annotations together may hold what one may alone: 2,500 values."""
    inputs = {f"i{number}": {"annotation": f"example.com/{number}"} for number in range(20)}
    world = World(pack(inputs=inputs, rules=[{
        "name": "r", "when": "inputErrors.i0 != ''", "actions": [{"annotate": {"annotations": {"told": "${inputErrors.i0}"}}}],
    }]))  # fmt: skip
    await world.create(
        {**config(), "metadata": {"name": "c", "namespace": "ns", "annotations": {"example.com/0": "- a\n" * 130}}}
    )
    await world.settle()

    assert "more than 125 values" in annotations_of(await world.get(CONFIG, "c"))["told"]
