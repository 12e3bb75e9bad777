"""Lookups that informers follow, in the whole operator: what is watched, what is missing, and a change on which much depends."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from engine.kube.faults import InjectedFault
from engine.model.objects import Kind, Object, annotations_of
from engine.operator.selection import InformerKey
from engine.reconcile.prune import LARGE, Omitted
from tests.unit.operator.test_operator import CONFIG_MAP, NAMESPACE, WIDGET, Fixture

SETTINGS = Kind("v1", "ConfigMap")
PACK = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: colours}
spec:
  watch: {apiVersion: example.com/v1, kind: Widget}
  targets:
    - {apiVersion: v1, kind: ConfigMap, verbs: [list, watch], consent: 'true'}
  rules:
    - name: paint
      lookup:
        settings: {apiVersion: v1, kind: ConfigMap, namespace: default, name: settings}
      when: lookup.settings != null
      actions:
        - annotate: {annotations: {example.com/mark: '${lookup.settings.data.colour}'}}
"""
LARGE_PACK = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: texts}
spec:
  watch: {apiVersion: v1, kind: ConfigMap}
  targets:
    - {apiVersion: v1, kind: ConfigMap, verbs: [list, watch], consent: 'true'}
  rules:
    - name: compare
      lookup:
        other: {apiVersion: v1, kind: ConfigMap, name: '${object.data.other}'}
      when: [has(object.data.other), lookup.other != null]
      actions:
        - annotate: {annotations: {example.com/mark: '${size(object.data.own)} ${size(lookup.other.data.text)}'}}
"""
"""A pack whose watch and whose lookup select the same."""


@pytest.fixture
def fixture(tmp_path: Path) -> Fixture:
    """A fixture with a pack that looks up one ConfigMap by its name."""
    made = Fixture(tmp_path)
    (tmp_path / "pack.yaml").write_text(PACK)
    return made


def config(name: str, **data: str) -> Object:
    """A ConfigMap."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


async def paint(fixture: Fixture, colour: str) -> None:
    """Create or change what is looked up."""
    try:
        await fixture.cluster.get(CONFIG_MAP, "default", "settings")
    except Exception:
        await fixture.cluster.create(CONFIG_MAP, "default", config("settings", colour=colour))
    else:
        await fixture.cluster.patch(CONFIG_MAP, "default", "settings", {"data": {"colour": colour}})


async def test_a_change_is_followed_by_a_watch_of_that_one_name(fixture: Fixture) -> None:
    """Widgets get the new colour without a second passing; of ConfigMaps no more is watched than that one."""
    await paint(fixture, "red")
    operator = fixture.operator()
    async with fixture.running(operator):
        await fixture.widget("w")
        await fixture.clock.advance(0)
        assert await fixture.mark("w") == "red"

        await paint(fixture, "blue")
        await fixture.clock.advance(0)
        assert await fixture.mark("w") == "blue"

        keys = [key for key in operator.caches.informers if key.kind == SETTINGS]
        assert keys == [InformerKey(SETTINGS, "default", fields="metadata.name=settings")]


async def test_what_is_looked_up_is_held_however_large_it_is(fixture: Fixture) -> None:
    """One informer serves the watch and the lookup. Of a watched object it leaves out a large value that no lookup reads."""
    (fixture.rules / "pack.yaml").write_text(LARGE_PACK)
    await fixture.cluster.create(CONFIG_MAP, "default", config("other", text="x" * (LARGE + 1)))
    await fixture.cluster.create(CONFIG_MAP, "default", config("source", other="other", own="y" * (LARGE + 2)))
    operator = fixture.operator()
    async with fixture.running(operator):
        await fixture.clock.advance(1)
        source = await fixture.cluster.get(CONFIG_MAP, "default", "source")
        assert annotations_of(source)["example.com/mark"] == f"{LARGE + 2} {LARGE + 1}"

        await fixture.cluster.patch(CONFIG_MAP, "default", "other", {"data": {"text": "x" * (LARGE + 3)}})
        await fixture.clock.advance(1)
        source = await fixture.cluster.get(CONFIG_MAP, "default", "source")
        assert annotations_of(source)["example.com/mark"] == f"{LARGE + 2} {LARGE + 3}"

        held = operator.caches.informers[InformerKey(SETTINGS)].store.objects
        assert isinstance(held["default", "source"].object["data"]["own"], Omitted)
        assert len(held["default", "other"].object["data"]["text"]) == LARGE + 3


async def test_nothing_is_said_while_what_is_looked_up_is_being_listed(
    fixture: Fixture, caplog: pytest.LogCaptureFixture
) -> None:
    """Widgets that are listed first wait for the ConfigMaps, and are evaluated as soon as those are there."""
    for number in range(20):
        await fixture.widget(f"w{number}")
    await paint(fixture, "red")
    caplog.set_level(logging.WARNING, "engine")
    async with fixture.running(fixture.operator()):
        assert {await fixture.mark(f"w{number}") for number in range(20)} == {"red"}

    assert caplog.records == []


async def test_a_right_that_is_missing_makes_the_rule_wait(fixture: Fixture) -> None:
    """The pack's status says what is missing, nothing is done, and once the right is there everything is made up for."""
    await paint(fixture, "red")
    fixture.cluster.faults.add(InjectedFault(403, verb="list", kind="ConfigMap", namespace="default", times=None))
    operator = fixture.operator()
    async with fixture.running(operator):
        await fixture.widget("w")
        await fixture.clock.advance(60)

        assert await fixture.mark("w") is None
        (problem,) = operator.caches.problems("colours")
        assert problem.startswith(
            "lookups of pack colours wait: ConfigMap.v1 in namespace default (metadata.name=settings) cannot be"
        )
        assert "rulepack rbac" in problem

        fixture.cluster.faults.clear()
        await fixture.clock.advance(40)
        assert await fixture.mark("w") == "red"
        assert operator.caches.problems("colours") == []


async def test_a_pack_that_goes_takes_its_informers_along(fixture: Fixture) -> None:
    """Where no pack looks something up any more, it is not watched."""
    operator = fixture.operator()
    async with fixture.running(operator):
        assert SETTINGS in {key.kind for key in operator.caches.informers}
        await fixture.config_map("rulepack-feature-flags", {"colours": "Off"})
        await fixture.clock.advance(5)

        assert SETTINGS not in {key.kind for key in operator.caches.informers}


async def test_a_change_on_which_much_depends_holds_up_nobody(fixture: Fixture) -> None:
    """Of 3,000 widgets that a change concerns, few are done before a new one of another namespace."""
    await paint(fixture, "red")
    await fixture.cluster.create(NAMESPACE, "", {"metadata": {"name": "other"}})
    for number in range(3_000):
        await fixture.widget(f"w{number}")
    async with fixture.running(fixture.operator(workers=1)):
        await fixture.clock.advance(5)
        await paint(fixture, "blue")
        await asyncio.sleep(0)
        body = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "late"}, "spec": {"size": 20}}
        await fixture.cluster.create(WIDGET, "other", body)
        await fixture.clock.advance(5)

        written = [call.ref for call in fixture.cluster.writes if call.ref.kind == WIDGET.kind and call.verb == "patch"]
        assert len(written) == 6_001
        late = next(number for number, ref in enumerate(written) if ref.namespace == "other")
        assert late < 3_000 + 300
        assert annotations_of(await fixture.cluster.get(WIDGET, "default", "w2999"))["example.com/mark"] == "blue"
