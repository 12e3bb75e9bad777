"""What an operator holds after rounds of the same work: as much as after the first ones."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FrameType, FunctionType, ModuleType
from typing import Any

from engine.model.objects import Resource
from tests.unit.operator.samples import sample
from tests.unit.operator.test_operator import Fixture
from tests.world import CUSTOM, DONE, JOB, RULES, job

#: What a process has once, and what leads from one object to those of everything else.
SHARED = (
    type, ModuleType, FunctionType, BuiltinFunctionType, CodeType, FrameType, asyncio.AbstractEventLoop, asyncio.Future,
)  # fmt: skip
JOBS, ROUNDS = 20, 3
(RESOURCE,) = (resource for resource, _ in CUSTOM if resource.kind == JOB)


def held(root: object, *without: object) -> Counter[str]:
    """How many objects of each type can be reached from one, not through others."""
    seen, rest, found = {id(each) for each in without}, [root], Counter[str]()
    kept: list[Any] = []  # so that no id is that of two
    while rest:
        each = rest.pop()
        if id(each) not in seen and not isinstance(each, SHARED):
            seen.add(id(each))
            kept.append(each)
            found[type(each).__qualname__] += 1
            rest += gc.get_referents(each)
    return found


async def churn(fixture: Fixture, resource: Resource, number: int) -> None:
    """Jobs come, run, end well or badly, and go, and an hour passes, for which Events are counted as one series."""
    names = [f"train-{number}-{each}" for each in range(JOBS)]
    for name in names:
        await fixture.cluster.create(resource, "default", job(name, "Running", {"argocd.argoproj.io/sync-wave": "1"}, "default"))
    await fixture.clock.advance(60)
    for each, name in enumerate(names):
        status = {"phase": "Failed" if each % 2 else "Succeeded", "completionTime": DONE}
        await fixture.cluster.patch(resource, "default", name, {"status": status}, subresource="status")
    await fixture.clock.advance(300)
    for name in names:
        await fixture.cluster.delete(resource, "default", name)
    await fixture.clock.advance(3700)


async def test_nothing_is_kept_of_what_is_gone(tmp_path: Path) -> None:
    """With all packs: beyond the first round, each round leaves fewer objects behind than there were jobs in it."""
    fixture = Fixture(tmp_path)
    for resource, status in CUSTOM:
        fixture.cluster.register(resource, status_subresource=status)
    operator = fixture.operator(rules=(RULES,))
    found: list[Counter[str]] = []
    async with fixture.running(operator):
        for number in range(ROUNDS):
            await churn(fixture, RESOURCE, number)
            gc.collect()
            found.append(held(operator, fixture.cluster, fixture.clock))
        done = {
            rule: sample(operator.metrics.text(), "rulepack_actions_total", {
                "pack": "sync-waves", "rule": rule, "action": "annotate", "outcome": "done",
            })
            for rule in ("wave-complete", "wave-failed")
        }  # fmt: skip
    assert done == dict.fromkeys(done, JOBS * ROUNDS / 2)
    assert (found[-1] - found[1]).total() < JOBS, found[-1] - found[1]
