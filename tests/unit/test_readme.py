"""What README.md shows works as it stands there."""

from __future__ import annotations

import re
from typing import Any

from engine.cel import backend
from engine.packs.parse import parse_pack
from tests.world import POD, RULES, World, pod


async def test_the_rule_of_ones_own_does_what_it_says() -> None:
    """A pod whose container has restarted five times gets one Event and one label."""
    (text,) = re.findall(r"```yaml\n(# my-rules/pack.yaml\n.*?)```", (RULES.parent / "README.md").read_text(), re.DOTALL)
    (pack,) = parse_pack(text, "README.md", backend())
    world = World(pack)
    restarted: dict[str, Any] = {**pod("web"), "status": {"containerStatuses": [{"name": "main", "restartCount": 5}]}}
    await world.create(restarted, pod("quiet"))
    await world.settle(60)
    assert await world.events() == [("web", "KeepsRestarting", "A container of web has restarted five times")]
    assert (await world.get(POD, "web"))["metadata"]["labels"]["example.com/unstable"] == "true"
    assert "example.com/unstable" not in (await world.get(POD, "quiet"))["metadata"]["labels"]
