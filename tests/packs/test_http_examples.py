"""What docs/http.md shows is sent as it stands there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.cel import backend
from engine.model.objects import Kind
from engine.outbound.answers import Answer
from engine.packs.parse import parse_pack
from engine.testing.http import Played
from tests.world import World, named

ROOT = Path(__file__).parents[2]
JOB = Kind("batch/v1", "Job")
SHOWN = re.findall(
    r"^## ([^\n]*)$(?:(?!^## ).)*?```yaml\n(.*?)```", (ROOT / "docs/http.md").read_text(), re.DOTALL | re.MULTILINE
)


def test_each_service_that_the_page_names_has_an_example() -> None:
    """A whole pack is examples/packs/slack-on-failure, which `make test` tries."""
    assert [title for title, _ in SHOWN] == ["Slack", "Microsoft Teams", "PagerDuty", "Any webhook, and its answer"]


@pytest.mark.parametrize(("title", "text"), SHOWN, ids=[title for title, _ in SHOWN])
async def test_what_the_page_shows_is_sent(title: str, text: str) -> None:
    """Once, to the URL that stands there, with the secrets by name."""
    spec = {
        "watch": {"apiVersion": "batch/v1", "kind": "Job"},
        "rules": [{"name": "r", "when": "true", "oncePer": "object.metadata.uid", **yaml.safe_load(text)}],
    }
    pack = {"apiVersion": "rules.mlops.dev/v1alpha1", "kind": "RulePack", "metadata": {"name": "p"}, "spec": spec}
    (parsed,) = parse_pack(json.dumps(pack, indent=1), "docs/http.md", backend())
    world = World(parsed)
    world.http.play(Played(Answer(202 if title == "PagerDuty" else 201, '{"id": 7}')))
    await world.create(named(JOB, "nightly"))
    await world.settle(60)

    (request,) = world.http.requests
    sent: dict[str, tuple[str, Any]] = {
        "Slack": ("(secret slack/url)", {"text": ":x: ns/nightly has failed"}),
        "Microsoft Teams": ("(secret teams/url)", None),
        "PagerDuty": ("https://events.pagerduty.com/v2/enqueue", None),
        "Any webhook, and its answer": ("https://tickets.example.com/api/tickets", None),
    }
    url, body = sent[title]
    assert request["url"] == url
    assert body in (None, request["json"])
    assert await world.events() == []
    if title == "PagerDuty":
        assert request["json"]["routing_key"] == "(secret pagerduty/routingKey)"
    if title.startswith("Any"):
        assert request["headers"]["Authorization"] == "Bearer (secret tickets/token)"
        assert await world.annotations(JOB, "nightly") == {"example.com/ticket": "7"}
