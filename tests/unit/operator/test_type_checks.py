"""What the operator says of expressions that cannot hold by the schemas of the cluster: in force, with warnings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.kube.api import OPENAPI
from engine.kube.faults import InjectedFault
from engine.operator.type_checks import RECHECK
from tests.unit.operator.test_operator import PACK, Fixture
from tests.unit.operator.test_rulepacks import Packs

OWN = PACK.replace("name: marks", "name: own").replace("object.spec.size > 10", "object.spec.size == '10'")
RULE = """\
    - name: other
      when: object.spec.size > 10
      actions:
        - annotate: {annotations: {example.com/mark: other}}
"""
GROUP = {"group": "example.com", "version": "v1", "kind": "Widget"}
FAULT = "configmap/system/own/pack.yaml:11:13: an int and a string are never equal; expected object.spec.size == 10"
WARNINGS = f"in force, with warnings:\n{FAULT}"


@pytest.fixture
def fixture(tmp_path: Path) -> Fixture:
    """A cluster that publishes the schema of its widgets, and a folder with one pack."""
    found = Fixture(tmp_path)
    publish(found, "integer")
    return found


def publish(fixture: Fixture, kind: str) -> None:
    """Publish the schema of widgets, in which `spec.size` is of that type; each has a path of its own, as on a real cluster."""
    path = f"{OPENAPI}/apis/example.com/v1?hash={kind}"
    spec = {"type": "object", "properties": {"size": {"type": kind}, "note": {"type": "string"}}}
    schema = {"type": "object", "properties": {"spec": spec}, "x-kubernetes-group-version-kind": [GROUP]}
    fixture.cluster.published = {
        OPENAPI: {"paths": {"apis/example.com/v1": {"serverRelativeURL": path}}},
        path: {"components": {"schemas": {"com.example.v1.Widget": schema}}},
    }


async def test_an_expression_that_cannot_hold_is_a_warning(fixture: Fixture) -> None:
    """The status says where, what the types are, and what to write; the pack is in force, and an Event says it once."""
    async with fixture.running(fixture.operator()):
        await fixture.config_map("own", {"pack.yaml": OWN}, pack=True)
        await fixture.clock.advance(3)

        assert await fixture.status("own") == WARNINGS
        (event,) = [event for event in await fixture.events() if event["reason"] == "RulePackWarnings"]
        assert (event["type"], event["involvedObject"]["name"]) == ("Warning", "own")
        assert FAULT in event["message"]


async def test_a_warning_is_of_the_packs_of_its_text_only(tmp_path: Path) -> None:
    """A pack in another text of the ConfigMap has nothing to do with it."""
    packs, fits = Packs(tmp_path), OWN.replace("name: own", "name: fits").replace("'10'", "10")
    await packs.serve()
    publish(packs, "integer")
    async with packs.running(packs.operator()):
        await packs.config_map("both", {"a.yaml": OWN, "b.yaml": fits}, pack=True)
        await packs.clock.advance(12)
        accepted = {name: await packs.condition("Accepted", name) for name in ("own", "fits")}

    assert accepted["own"][:2] == ("True", "Warnings")
    assert accepted["fits"][:2] == ("True", "Accepted")


async def test_a_pack_with_warnings_is_in_force(fixture: Fixture) -> None:
    """Its other rules act: a pack that worked before its types were checked works as it did."""
    async with fixture.running(fixture.operator()):
        await fixture.config_map("own", {"pack.yaml": OWN + RULE}, pack=True)
        await fixture.config_map("rulepack-feature-flags", {"marks": "Off", "own": "Enforce"})
        await fixture.clock.advance(3)
        await fixture.widget("w")
        await fixture.clock.advance(3)

        assert await fixture.status("own") == WARNINGS
        assert await fixture.mark("w") == "other"


async def test_a_restart_does_not_take_a_warning_back(tmp_path: Path) -> None:
    """Types are checked before a status that warns is written anew, be it of a RulePack or of a ConfigMap."""
    packs = Packs(tmp_path)
    await packs.serve()
    publish(packs, "integer")
    async with packs.running(packs.operator()):
        await packs.put("direct", yaml.safe_load(OWN)["spec"])
        await packs.config_map("own", {"pack.yaml": OWN}, pack=True)
        await packs.clock.advance(12)
    before, annotated = len(packs.written()), await packs.status("own") or ""
    seen = set[str | None]()
    async with packs.running(packs.operator()):
        for _ in range(60):
            await packs.clock.advance(0.1)
            seen |= {(await packs.condition("Accepted", name))[1] for name in ("direct", "own")}
            seen.add(await packs.status("own"))

    assert seen == {"Warnings", annotated}
    assert annotated.startswith("in force, with warnings:")
    assert packs.written()[before:] == []


async def test_a_warning_that_no_longer_fits_goes_after_a_restart(tmp_path: Path) -> None:
    """Also where no schema can be had by then."""
    packs = Packs(tmp_path)
    await packs.serve()
    publish(packs, "integer")
    async with packs.running(packs.operator()):
        await packs.put("direct", yaml.safe_load(OWN)["spec"])
        await packs.clock.advance(12)
    packs.cluster.published = {}
    packs.cluster.faults.add(InjectedFault(503, verb="get", kind=OPENAPI, times=1))
    async with packs.running(packs.operator()):
        await packs.clock.advance(12)

        assert (await packs.condition("Accepted", "direct"))[1] == "Accepted"


async def test_a_corrected_pack_is_ok(fixture: Fixture) -> None:
    """The warning goes with what it was about."""
    async with fixture.running(fixture.operator()):
        await fixture.config_map("own", {"pack.yaml": OWN}, pack=True)
        await fixture.clock.advance(3)
        await fixture.config_map("own", {"pack.yaml": OWN.replace("'10'", "10")}, pack=True)
        await fixture.clock.advance(3)

        assert await fixture.status("own") == "ok"


async def test_a_schema_that_changes_is_checked_again(fixture: Fixture) -> None:
    """A definition may come, change and go after the pack."""
    fixture.cluster.published = {}
    async with fixture.running(fixture.operator()):
        await fixture.config_map("own", {"pack.yaml": OWN}, pack=True)
        await fixture.clock.advance(3)
        without = await fixture.status("own")
        publish(fixture, "integer")
        await fixture.clock.advance(RECHECK + 3)
        with_integer = await fixture.status("own")
        publish(fixture, "string")
        await fixture.clock.advance(RECHECK + 3)

        assert (without, with_integer, await fixture.status("own")) == ("ok", WARNINGS, "ok")


@pytest.mark.parametrize("times", [1, 2])
async def test_schemas_that_cannot_be_had_say_nothing(fixture: Fixture, times: int, caplog: pytest.LogCaptureFixture) -> None:
    """The pack is in force without warnings, the log says so once, and they are asked for again."""
    caplog.set_level("INFO")
    fixture.cluster.faults.add(InjectedFault(503, verb="get", kind=OPENAPI, times=times))
    async with fixture.running(fixture.operator()):
        await fixture.config_map("own", {"pack.yaml": OWN}, pack=True)
        await fixture.clock.advance(3)
        await fixture.clock.advance(2 * RECHECK)

        assert await fixture.status("own") == WARNINGS
    assert sum("types of some expressions are not checked" in record.message for record in caplog.records) == 1


@pytest.mark.parametrize(
    "published",
    [
        {OPENAPI: {"paths": []}},
        {OPENAPI: {"paths": {"apis/example.com/v1": {"serverRelativeURL": "https://elsewhere.example.com/"}}}},
        {OPENAPI: {"paths": {"apis/example.com/v1": {"serverRelativeURL": f"{OPENAPI}/x"}}}, f"{OPENAPI}/x": {"components": []}},
    ],
    ids=["no paths", "another server", "no components"],
)
async def test_what_is_no_openapi_says_nothing(fixture: Fixture, published: dict[str, Any]) -> None:
    """Whatever an API server answers, a pack stays in force."""
    fixture.cluster.published = published
    async with fixture.running(fixture.operator()):
        await fixture.config_map("own", {"pack.yaml": OWN}, pack=True)
        await fixture.clock.advance(3)

        assert await fixture.status("own") == "ok"


async def test_only_the_documents_of_the_packs_kinds_are_asked_for(fixture: Fixture) -> None:
    """Others may be large, and none is asked for again while nothing changes."""
    index = fixture.cluster.published[OPENAPI]
    fixture.cluster.published[OPENAPI] = {"paths": {**index["paths"], "api/v1": {"serverRelativeURL": f"{OPENAPI}/api/v1"}}}
    async with fixture.running(fixture.operator()):
        await fixture.config_map("own", {"pack.yaml": OWN}, pack=True)
        await fixture.clock.advance(3 * RECHECK)

    asked = [call.ref.name for call in fixture.cluster.calls if call.ref.kind.kind == OPENAPI]
    documents = [path for path in asked if path != OPENAPI]
    assert set(documents) == {f"{OPENAPI}/apis/example.com/v1?hash=integer"}
    assert len(documents) == 2  # for the shipped pack, and for the other
