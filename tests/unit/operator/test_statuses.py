"""What ConfigMaps say of the packs, flags and parameters in them: what waits, and what cannot be read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.kube.faults import InjectedFault
from engine.model.objects import annotations_of
from tests.unit.operator.test_operator import CONFIG_MAP, PACK, Fixture, ask

FLAGS, PARAMS = "rulepack-feature-flags", "rulepack-params"
KIND = "Widget.example.com/v1 in all namespaces"


@pytest.fixture
def fixture(tmp_path: Path) -> Fixture:
    return Fixture(tmp_path)


async def reasons(fixture: Fixture, name: str) -> list[str]:
    """The reasons of the Events about a ConfigMap."""
    return [event["reason"] for event in await fixture.events() if event["involvedObject"]["name"] == name]


async def packs(operator: Any) -> dict[str, Any]:
    return {pack["name"]: pack for pack in json.loads((await ask(operator, "/packs"))[1])["packs"]}


@pytest.mark.parametrize(
    ("verb", "status", "expected"),
    [
        ("list", 403, f"pack marks waits: {KIND} cannot be listed: 403 Forbidden"),
        ("watch", 403, f"pack marks waits: {KIND} cannot be watched: 403 Forbidden"),
        ("discover", 404, f"pack marks waits: {KIND} cannot be listed: 404 NotFound"),
        ("discover", 503, f"pack marks waits: {KIND} cannot be listed: 503 ServiceUnavailable"),
    ],
)
async def test_a_pack_whose_kind_cannot_be_watched_says_so(fixture: Fixture, verb: str, status: int, expected: str) -> None:
    """On its ConfigMap, in one Event and in /packs; once the kind can be watched, it is ok and works."""
    fixture.cluster.faults.add(InjectedFault(status, verb=verb, kind="Widget", times=None))
    operator = fixture.operator()
    async with fixture.running(operator):
        await fixture.config_map("own", {"pack.yaml": PACK}, pack=True)
        await fixture.clock.advance(150)

        assert (await fixture.status("own") or "").startswith(expected)
        assert ("rulepack rbac pack.yaml | kubectl apply -f -" in (await fixture.status("own") or "")) == (status == 403)
        assert await reasons(fixture, "own") == ["RulePackWaiting"]
        assert (await packs(operator))["marks"]["waitingFor"] == "Widget.example.com/v1"
        assert (await ask(operator, "/readyz"))[0] == 200

        fixture.cluster.faults.clear()
        await fixture.widget("a")
        await fixture.clock.advance(60)
        assert await fixture.status("own") == "ok"
        assert await fixture.mark("a") == "big"


async def test_a_schedule_that_is_wrong_is_said_as_lint_says_it(fixture: Fixture) -> None:
    """With what to write in its place."""
    operator = fixture.operator()
    async with fixture.running(operator):
        scheduled = PACK.replace("when:", "schedule: {cron: '0 7 31 2 *'}\n      when:")
        await fixture.config_map("own", {"pack.yaml": scheduled}, pack=True)
        await fixture.clock.advance(5)

        status = await fixture.status("own") or ""
        assert "the text '0 7 31 2 *' is never due: its months have no such day" in status
        assert "(did you mean '0 7 L 2 *'?)" in status


async def test_a_watch_that_fails_for_a_moment_is_no_news(fixture: Fixture) -> None:
    """An API server that is restarted, or refuses for half a minute, has no status written."""
    operator = fixture.operator()
    async with fixture.running(operator):
        await fixture.config_map("own", {"pack.yaml": PACK}, pack=True)
        await fixture.clock.advance(5)
        fixture.cluster.faults.add(InjectedFault(503, verb="watch", kind="Widget", times=None))
        fixture.cluster.cut_watches()
        await fixture.clock.advance(40)
        fixture.cluster.faults.clear()
        await fixture.clock.advance(120)

        assert await fixture.status("own") == "ok"
        assert await reasons(fixture, "own") == []


async def test_a_config_map_that_loses_its_label_has_no_status_any_more(fixture: Fixture) -> None:
    """Its packs are gone, so "ok" would be wrong. Other annotations stay; with the label it has a status again."""
    async with fixture.running(fixture.operator()):
        await fixture.config_map("own", {"pack.yaml": PACK}, pack=True)
        await fixture.cluster.patch(CONFIG_MAP, "system", "own", {"metadata": {"annotations": {"example.com/a": "b"}}})
        await fixture.clock.advance(5)
        read = await fixture.status("own")
        await fixture.cluster.patch(CONFIG_MAP, "system", "own", {"metadata": {"labels": {"rules.mlops.dev/rule-pack": None}}})
        await fixture.clock.advance(5)
        left = annotations_of(await fixture.cluster.get(CONFIG_MAP, "system", "own"))
        await fixture.cluster.patch(CONFIG_MAP, "system", "own", {"metadata": {"labels": {"rules.mlops.dev/rule-pack": "true"}}})
        await fixture.clock.advance(15)

        assert (read, left, await fixture.status("own")) == ("ok", {"example.com/a": "b"}, "ok")


async def test_a_status_that_cannot_be_taken_away_is_tried_again(fixture: Fixture, caplog: pytest.LogCaptureFixture) -> None:
    async with fixture.running(fixture.operator()):
        await fixture.config_map("own", {"pack.yaml": PACK}, pack=True)
        await fixture.clock.advance(5)
        fixture.cluster.faults.add(InjectedFault(500, verb="patch", kind="ConfigMap", times=2, after=1))
        await fixture.cluster.patch(CONFIG_MAP, "system", "own", {"metadata": {"labels": {"rules.mlops.dev/rule-pack": None}}})
        await fixture.clock.advance(40)

        assert await fixture.status("own") is None
    assert "ConfigMap system/own: it is no longer read, but its status cannot be taken away: 500" in caplog.text


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"marks": "Stopped"}, "'Stopped' is no mode; expected Enforce, Audit or Disabled"),
        ({"mark": "Off"}, "no pack has the feature flag 'mark'; expected 'marks' (did you mean that?)"),
    ],
)
async def test_a_flag_that_does_nothing_is_reported_on_its_config_map(
    fixture: Fixture, data: dict[str, str], expected: str
) -> None:
    """A word that is no mode, and a flag of no pack: a status and an Event, until it is mended."""
    operator = fixture.operator()
    async with fixture.running(operator):
        await fixture.config_map(FLAGS, data)
        await fixture.clock.advance(5)
        assert expected in (await fixture.status(FLAGS) or "")
        assert await reasons(fixture, FLAGS) == ["SettingsInvalid"]

        await fixture.cluster.patch(CONFIG_MAP, "system", FLAGS, {"data": dict.fromkeys(data) | {"marks": "Off"}})
        await fixture.clock.advance(5)
        assert await fixture.status(FLAGS) == "ok"


async def test_a_parameter_that_cannot_be_read_is_reported_on_its_config_map(fixture: Fixture) -> None:
    """With its line and column; a pack that does not exist too."""
    operator = fixture.operator()
    async with fixture.running(operator):
        await fixture.config_map(PARAMS, {"marks": "mark: 3", "mraks": "mark: x"})
        await fixture.clock.advance(5)

        status = await fixture.status(PARAMS) or ""
        assert "configmap/rulepack-params/marks:1:7" in status
        assert "there is no pack 'mraks'" in status
        assert await reasons(fixture, PARAMS) == ["SettingsInvalid"]


async def test_switches_without_a_fault_are_left_alone(fixture: Fixture) -> None:
    """Nothing is written on a ConfigMap of flags or parameters that has no fault."""
    operator = fixture.operator()
    async with fixture.running(operator):
        await fixture.config_map(FLAGS, {"marks": "Audit"})
        await fixture.config_map(PARAMS, {"marks": "mark: large"})
        await fixture.clock.advance(60)

        assert await fixture.status(FLAGS) is None
        assert await fixture.status(PARAMS) is None


@pytest.mark.parametrize(("before", "expected"), [("Enforce", "big"), ("Off", None)])
async def test_a_flag_that_becomes_unreadable_keeps_its_last_value(fixture: Fixture, before: str, expected: str | None) -> None:
    """While the operator runs; one that was never read is Off, whatever the default."""
    operator = fixture.operator()
    async with fixture.running(operator):
        await fixture.config_map(FLAGS, {"marks": before})
        await fixture.clock.advance(5)
        await fixture.config_map(FLAGS, {"marks": "Stopped"})
        await fixture.clock.advance(5)
        await fixture.widget("a")
        await fixture.clock.advance(5)

        assert await fixture.mark("a") == expected
        assert (await packs(operator))["marks"]["mode"] == before


async def test_two_config_maps_with_one_pack_act_once(fixture: Fixture) -> None:
    """As kustomize leaves them behind when a hash changes: one is in force; the other one says so, and takes over in the end."""
    operator = fixture.operator()
    async with fixture.running(operator):
        await fixture.config_map("marks-7h2k", {"pack.yaml": PACK}, pack=True)
        await fixture.config_map("marks-m5tf", {"pack.yaml": PACK.replace("default: big", "default: huge")}, pack=True)
        await fixture.widget("a")
        await fixture.clock.advance(30)

        assert await fixture.status("marks-7h2k") == "ok"
        assert "pack 'marks' is also in configmap/system/marks-7h2k" in (await fixture.status("marks-m5tf") or "")
        assert await reasons(fixture, "marks-m5tf") == ["RulePackInvalid"]
        assert await fixture.mark("a") == "big"
        assert fixture.writes() == ["Widget default/a"]

        await fixture.cluster.delete(CONFIG_MAP, "system", "marks-7h2k")
        await fixture.clock.advance(30)
        assert await fixture.status("marks-m5tf") == "ok"
        assert await fixture.mark("a") == "huge"


async def test_a_status_and_its_event_have_nothing_that_a_terminal_obeys(fixture: Fixture) -> None:
    """A name that a user has chosen is quoted without colours and marks of direction."""
    operator = fixture.operator()
    async with fixture.running(operator):
        await fixture.config_map(PARAMS, {"marks": '"\\e[31mred\\u202e\\u2066": 1'})
        await fixture.clock.advance(5)

        status = await fixture.status(PARAMS) or ""
        (reported,) = [event["message"] for event in await fixture.events() if event["involvedObject"]["name"] == PARAMS]
        assert "'red'" in status
        assert not {"\x1b", "\u202e", "\u2066"} & {*status, *reported}


async def test_a_long_status_keeps_its_beginning_and_its_end(fixture: Fixture) -> None:
    """Of 300 flags of no pack the first and the last are named."""
    operator = fixture.operator()
    async with fixture.running(operator):
        await fixture.config_map(FLAGS, {f"f{number:03}-{'x' * 60}": "Audit" for number in range(300)})
        await fixture.clock.advance(5)

        status = await fixture.status(FLAGS) or ""
        assert len(status) <= 16_384
        assert "f000-" in status
        assert "f299-" in status
