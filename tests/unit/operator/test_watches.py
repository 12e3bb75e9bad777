"""What a pack watches, in the whole operator: informers, namespaces by their labels, rights, and what the operator says of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.kube.faults import InjectedFault
from engine.model.objects import Kind
from engine.operator.selection import InformerKey
from tests.unit.operator.test_operator import CONFIG_MAP, NAMESPACE, Fixture

NAMESPACES = Kind("v1", "Namespace")
PACK = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: marks}
spec:
  watch:
    - {apiVersion: example.com/v1, kind: Widget, namespaceSelector: {team: ml}}
    - {apiVersion: v1, kind: ConfigMap, labelSelector: {mark: 'yes'}, namespaceSelector: {team: ml}}
  rules:
    - name: mark
      actions:
        - annotate: {annotations: {example.com/mark: '${object.kind}'}}
"""


@pytest.fixture
def fixture(tmp_path: Path) -> Fixture:
    """A fixture with a pack that watches two kinds in namespaces with a label."""
    made = Fixture(tmp_path)
    (tmp_path / "pack.yaml").write_text(PACK)
    return made


async def label(fixture: Fixture, team: str | None, name: str = "default") -> None:
    """Give a namespace a label, or take it away; create it where it is not there."""
    try:
        await fixture.cluster.get(NAMESPACE, "", name)
    except Exception:
        await fixture.cluster.create(NAMESPACE, "", {"metadata": {"name": name, "labels": {"team": team} if team else {}}})
    else:
        await fixture.cluster.patch(NAMESPACE, "", name, {"metadata": {"labels": {"team": team}}})


async def objects(fixture: Fixture) -> None:
    """A widget and a ConfigMap."""
    await fixture.widget("w")
    await fixture.cluster.create(CONFIG_MAP, "default", {"metadata": {"name": "c", "labels": {"mark": "yes"}}})


async def marks(fixture: Fixture) -> list[str | None]:
    """The marks of both."""
    found: Any = await fixture.cluster.get(CONFIG_MAP, "default", "c")
    return [await fixture.mark("w"), found["metadata"].get("annotations", {}).get("example.com/mark")]


async def test_a_label_of_a_namespace_is_followed_without_a_second_passing(fixture: Fixture) -> None:
    """Objects of both kinds are marked as soon as their namespace has the label, and no more once it has lost it."""
    await label(fixture, None)
    await objects(fixture)
    operator = fixture.operator()
    async with fixture.running(operator):
        before = await marks(fixture)
        await label(fixture, "ml")
        await fixture.clock.advance(0)
        during = await marks(fixture)
        await label(fixture, "web")
        await fixture.cluster.patch(CONFIG_MAP, "default", "c", {"metadata": {"annotations": {"example.com/mark": "other"}}})
        await fixture.clock.advance(10)

        assert (before, during, await marks(fixture)) == ([None, None], ["Widget", "ConfigMap"], ["Widget", "other"])
        assert [key for key in operator.caches.informers if key.kind == NAMESPACES] == [InformerKey(NAMESPACES)]


async def test_namespaces_that_are_listed_late_lose_nothing(fixture: Fixture) -> None:
    """While the right to list them is missing the pack waits, and says for what; then all is made up for."""
    await label(fixture, "ml")
    await objects(fixture)
    fixture.cluster.faults.add(InjectedFault(403, verb="list", kind="Namespace", times=None))
    operator = fixture.operator()
    async with fixture.running(operator):
        await fixture.clock.advance(30)
        (problem,) = operator.caches.problems("marks")
        assert problem.startswith("pack marks waits: Namespace.v1 in all namespaces cannot be listed: 403")
        assert "rulepack rbac" in problem
        (pack,) = [each for each in operator.overview()["packs"] if each["name"] == "marks"]
        assert (pack["kind"], pack["waitingFor"]) == ("Widget.example.com/v1, ConfigMap.v1", "Namespace.v1")
        assert 'rulepack_pack_waiting{kind="Namespace.v1",pack="marks"} 1.0' in b"".join(operator.metrics.pieces()).decode()
        assert await marks(fixture) == [None, None]

        fixture.cluster.faults.clear()
        await fixture.clock.advance(60)
        assert (await marks(fixture), operator.caches.problems("marks")) == (["Widget", "ConfigMap"], [])


async def test_an_operator_of_some_namespaces_asks_for_these_by_name(fixture: Fixture) -> None:
    """So it needs `list` and `watch` on Namespaces of these names only, and it marks what is in those with the label."""
    await label(fixture, "ml")
    await label(fixture, "ml", "other")
    await objects(fixture)
    operator = fixture.operator(namespaces=("default", "quiet"))
    async with fixture.running(operator):
        await fixture.clock.advance(10)

        assert await marks(fixture) == ["Widget", "ConfigMap"]
        fields = sorted(key.fields for key in operator.caches.informers if key.kind == NAMESPACES)
        assert fields == ["metadata.name=default", "metadata.name=quiet"]
        assert {key.namespace for key in operator.caches.informers if key.kind.kind == "Widget"} == {"default", "quiet"}
