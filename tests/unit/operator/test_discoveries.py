"""Params whose values the cluster says: the operator follows the objects that say them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from engine.errors import ApiError
from engine.kube.faults import InjectedFault
from engine.model.objects import Kind, Resource
from tests.unit.operator.test_operator import CONFIG_MAP, NAMESPACE, PACK, Fixture, ask

GADGET = Resource(Kind("example.com/v1", "Gadget"), "gadgets", True)
FOUND = PACK.replace(
    "  watch:",
    """\
  discover:
    mark: {apiVersion: example.com/v1, kind: Gadget, name: main, labelSelector: in-use, value: object.metadata.namespace}
  watch:""",
)


@pytest.fixture
def fixture(tmp_path: Path) -> Fixture:
    """A fixture with a pack whose param is discovered."""
    fixture = Fixture(tmp_path)
    fixture.cluster.register(GADGET)
    (tmp_path / "pack.yaml").write_text(FOUND)
    return fixture


async def gadget(fixture: Fixture, namespace: str, name: str = "main") -> None:
    """Create a gadget that is in use."""
    body = {"apiVersion": "example.com/v1", "kind": "Gadget", "metadata": {"name": name, "labels": {"in-use": "yes"}}}
    with suppress(ApiError):
        await fixture.cluster.create(NAMESPACE, "", {"metadata": {"name": namespace}})
    await fixture.cluster.create(GADGET, namespace, body)


async def test_the_value_is_that_of_the_oldest(fixture: Fixture) -> None:
    """What is there at the start is in force with the first evaluation; a later object says nothing until it is the oldest."""
    await gadget(fixture, "tools", "another")
    await gadget(fixture, "tools")
    await fixture.widget("a")
    async with fixture.running(fixture.operator()):
        await fixture.clock.advance(2)
        assert await fixture.mark("a") == "tools"

        await fixture.clock.advance(1)
        await gadget(fixture, "annex")
        await fixture.clock.advance(2)
        assert await fixture.mark("a") == "tools"

        await fixture.cluster.delete(GADGET, "tools", "main")
        await fixture.clock.advance(2)
        assert await fixture.mark("a") == "annex"
        assert fixture.writes() == ["Widget default/a"] * 2


async def test_the_default_holds_where_there_is_nothing(fixture: Fixture) -> None:
    """Without an object the param has its default, and gets the value of one that comes."""
    await fixture.widget("a")
    async with fixture.running(fixture.operator()):
        await fixture.clock.advance(2)
        assert await fixture.mark("a") == "big"

        await gadget(fixture, "tools")
        await fixture.clock.advance(2)
        assert await fixture.mark("a") == "tools"


@pytest.mark.parametrize("key", ["marks", "_all"])
async def test_what_somebody_has_set_goes_before(fixture: Fixture, key: str) -> None:
    """A value of the ConfigMap holds whatever is found, also the default itself; and also while its text is broken."""
    await gadget(fixture, "tools")
    await fixture.widget("a")
    async with fixture.running(fixture.operator()):
        await fixture.config_map("rulepack-params", {key: "mark: big"})
        await fixture.clock.advance(2)
        assert await fixture.mark("a") == "big"

        await fixture.config_map("rulepack-params", {key: "mark: [big"})
        await fixture.clock.advance(30)
        assert await fixture.mark("a") == "big"

        await fixture.cluster.delete(CONFIG_MAP, "system", "rulepack-params")
        await fixture.clock.advance(2)
        assert await fixture.mark("a") == "tools"


async def test_what_cannot_be_listed_holds_up_nothing(fixture: Fixture) -> None:
    """Without the right to list them the packs are in force with their defaults after some seconds, and the replica is ready."""
    fixture.cluster.faults.add(InjectedFault(403, verb="list", kind="Gadget", times=6))
    await gadget(fixture, "tools")
    await fixture.widget("a")
    operator = fixture.operator()
    async with fixture.running(operator):
        await fixture.clock.advance(10)
        first = await fixture.mark("a")
        status = (await ask(operator, "/readyz"))[0]
        await fixture.clock.advance(90)

        assert (first, status) == ("big", 200)
        assert await fixture.mark("a") == "tools"


async def test_a_value_that_does_not_fit_is_reported(fixture: Fixture) -> None:
    """The param keeps its default, and the ConfigMap of the params says so."""
    (fixture.rules / "pack.yaml").write_text(FOUND.replace("object.metadata.namespace", "size(object.metadata.namespace)"))
    await gadget(fixture, "tools")
    await fixture.widget("a")
    async with fixture.running(fixture.operator()):
        await fixture.config_map("rulepack-params", {"marks": ""})
        await fixture.clock.advance(12)

        assert await fixture.mark("a") == "big"
        status = await fixture.status("rulepack-params") or ""
        assert "marks:1:1: the value of 'mark' that the cluster gives is left out" in status
