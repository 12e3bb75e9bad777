"""What is generated, in the whole operator: nothing of it is removed while the operator does not know what is there."""

from __future__ import annotations

from copy import copy
from pathlib import Path

import pytest

from engine.kube.api import Selection
from engine.kube.faults import Faults, InjectedFault
from engine.model.generated import PACK as GENERATED_BY
from engine.model.objects import Kind, Object, labels_of, metadata
from engine.model.plurals import guessed_resource
from engine.operator.wiring import Operator
from tests.unit.operator.test_operator import CONFIG_MAP, NAMESPACE, WIDGET, Fixture

SPACES = Kind("v1", "Namespace")
SECRET = guessed_resource(Kind("v1", "Secret"))
PACK = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: copies}
spec:
  watch: {apiVersion: example.com/v1, kind: Widget}
  targets:
    - {apiVersion: v1, kind: Secret, verbs: [get, list, watch, create, patch, delete], consent: 'true'}
    - {apiVersion: v1, kind: Namespace, verbs: [list, watch], consent: 'true'}
  rules:
    - name: copy
      lookup:
        spaces: {apiVersion: v1, kind: Namespace, labelSelector: {copies: 'yes'}}
      loop: lookup.spaces
      actions:
        - apply:
            prune: true
            manifest:
              apiVersion: v1
              kind: Secret
              metadata: {name: '${object.metadata.name}', namespace: '${item.metadata.name}'}
              stringData: {size: '${string(object.spec.size)}'}
"""


@pytest.fixture
async def fixture(tmp_path: Path) -> Fixture:
    """A fixture with the pack, and two namespaces that get copies of two widgets."""
    made = Fixture(tmp_path)
    (tmp_path / "pack.yaml").write_text(PACK)
    for name in "ab":
        await made.cluster.create(NAMESPACE, "", {"metadata": {"name": name, "labels": {"copies": "yes"}}})
    await made.widget("w")
    await made.widget("other")
    return made


async def copies(fixture: Fixture) -> list[str]:
    """Where there are copies, also while the operator cannot know."""
    cluster = copy(fixture.cluster)
    cluster.faults = Faults(fixture.clock.time)
    found: list[Object] = [obj for space in "ab" for obj in (await cluster.list(Selection(SECRET, space))).items]
    return sorted(f"{metadata(obj)['namespace']}/{metadata(obj)['name']}" for obj in found)


ALL = ["a/other", "a/w", "b/other", "b/w"]


def fail(fixture: Fixture, status: int, kind: str, *verbs: str) -> None:
    """Answer all calls about a kind with an error, and end its watches."""
    for verb in verbs:
        fixture.cluster.faults.add(InjectedFault(status, verb=verb, kind=kind, times=None))
    fixture.cluster.cut_watches()


async def gone(fixture: Fixture) -> None:
    """Have no reason left for three of the copies."""
    await fixture.cluster.patch(NAMESPACE, "", "b", {"metadata": {"labels": {"copies": None}}})
    await fixture.cluster.delete(WIDGET, "default", "w")


@pytest.mark.parametrize("kind", ["Widget", "Namespace", "Secret"])
@pytest.mark.parametrize("seconds", [20, 200])
@pytest.mark.parametrize("status", [403, 404, 503])
async def test_a_kind_that_is_away_removes_nothing(kind: str, seconds: float, status: int, fixture: Fixture) -> None:
    """Whether it is away for a moment or for minutes: what is gone meanwhile is removed when it is back, and nothing else."""
    async with fixture.running(fixture.operator()):
        await fixture.clock.advance(5)
        assert await copies(fixture) == ALL
        fail(fixture, status, kind, "discover", "list", "watch")
        await fixture.clock.advance(seconds)
        assert await copies(fixture) == ALL
        fixture.cluster.faults.clear()
        await fixture.clock.advance(100)
        assert await copies(fixture) == ALL
        await gone(fixture)
        await fixture.clock.advance(100)
        assert await copies(fixture) == ["a/other"]


@pytest.mark.parametrize("kind", ["Widget", "Namespace", "Secret"])
@pytest.mark.parametrize("status", [403, 404, 503])
async def test_an_operator_that_has_not_listed_everything_removes_nothing(kind: str, status: int, fixture: Fixture) -> None:
    async with fixture.running(fixture.operator()):
        await fixture.clock.advance(5)
        assert await copies(fixture) == ALL
    await gone(fixture)
    fail(fixture, status, kind, "list", "watch")
    async with fixture.running(fixture.operator()):
        await fixture.clock.advance(300)
        assert await copies(fixture) == ALL
        fixture.cluster.faults.clear()
        await fixture.clock.advance(400)
        assert await copies(fixture) == ["a/other"]


@pytest.mark.parametrize("kind", [SPACES, WIDGET.kind, SECRET.kind])
async def test_an_object_that_cannot_be_decoded_removes_nothing(kind: Kind, fixture: Fixture) -> None:
    """It may be just what would say that a copy has to stay."""
    operator = fixture.operator()
    async with fixture.running(operator):
        await fixture.clock.advance(5)
        left_out = broken(operator, kind)
        await gone(fixture)
        await fixture.clock.advance(60)
        assert await copies(fixture) == ALL
        left_out.clear()
        await fixture.clock.advance(60)
        assert await copies(fixture) == ["a/other"]


def broken(operator: Operator, kind: Kind) -> dict[tuple[str, str], tuple[Object, str]]:
    """Have an informer of a kind leave out an object, as it does with one that it cannot decode."""
    (informer,) = [each for key, each in operator.caches.informers.items() if key.kind == kind]
    informer.store.left_out["", "broken"] = {"metadata": {"name": "broken"}}, "no UTF-8"
    return informer.store.left_out


async def test_another_replica_goes_on_where_the_leader_was_killed(fixture: Fixture) -> None:
    async with fixture.running(fixture.operator(), fixture.operator()) as (stop, _):
        await fixture.clock.advance(5)
        assert await copies(fixture) == ALL
        await gone(fixture)
        stop.set()
        await fixture.clock.advance(60)
        assert await copies(fixture) == ["a/other"]


async def test_what_is_listed_for_another_pack_already_is_looked_through_for_one_that_comes_later(fixture: Fixture) -> None:
    second = PACK.replace("name: copies}", "name: second}").replace("object.metadata.name", "'second'")
    (fixture.rules / "second.yaml").write_text(second)
    async with fixture.running(fixture.operator()):
        await fixture.clock.advance(5)
        await fixture.config_map("rulepack-feature-flags", {"copies": "Off"})
        await fixture.clock.advance(5)
        await fixture.cluster.delete(WIDGET, "default", "w")
        await fixture.clock.advance(60)
        assert {"a/w", "b/w"} <= {*await copies(fixture)}
        await fixture.config_map("rulepack-feature-flags", {"copies": "Enforce"})
        await fixture.clock.advance(60)
        assert not {"a/w", "b/w"} & {*await copies(fixture)}


async def test_the_status_says_what_would_be_removed_by_which_pack_and_ends_with_the_mistake(fixture: Fixture) -> None:
    """Whoever resumes one pack learns what goes on in others; a higher budget is no word about a removal."""
    second = PACK.replace("name: copies}", "name: second}").replace("'${object", "'second-${object")
    (fixture.rules / "second.yaml").write_text(second)
    spaces = [f"space-{number}" for number in range(4)]
    for name in spaces:
        await fixture.cluster.create(NAMESPACE, "", {"metadata": {"name": name, "labels": {"copies": "yes"}}})
    operator = fixture.operator()
    async with fixture.running(operator):
        await fixture.clock.advance(60)
        await relabelled(fixture, [*spaces, "a", "b"], None)
        await fixture.clock.advance(60)
        packs = operator.reconciler.catalog.packs
        first, other = [operator.fare(packs[name]) for name in ("copies", "second")]
        await fixture.config_map("rulepack-params", {"copies": "disruptionsPerMinute: 1000"})
        await fixture.clock.advance(60)
        assert operator.fare(packs["copies"]).reason == "Suspended"
        assert ("copies", "default") in operator.activity.suspended_series()
        await relabelled(fixture, [*spaces, "a", "b"], "yes")
        await fixture.clock.advance(60)
        assert [operator.fare(pack).reason for pack in packs.values()] == ["", ""]
        assert operator.activity.suspended_series() == {}

    would = "rule copy would remove 12 of the 12 objects it has generated"
    for fare, also in ((first, "second"), (other, "copies")):
        (sentence,) = fare.waits
        assert fare.reason == "Suspended" and sentence.startswith(would) and "budget" not in sentence
        assert f"this resumes every pack, also pack {also}: {would}" in sentence
        assert "to keep them, undo what makes them go" in sentence


async def relabelled(fixture: Fixture, names: list[str], copies: str | None) -> None:
    """Give namespaces another label, or none."""
    for name in names:
        await fixture.cluster.patch(NAMESPACE, "", name, {"metadata": {"labels": {"copies": copies}}})


@pytest.mark.parametrize("source", ["there", "gone"])
async def test_a_renamed_pack_goes_on_as_soon_as_the_earlier_one_is_gone(source: str, fixture: Fixture) -> None:
    """Nothing else has to change; what the earlier one has kept meanwhile goes too. Until then the Event says to delete that."""
    renamed = PACK.replace("name: copies}", "name: spread}").replace("  watch:", "  previousNames: [copies]\n  watch:")
    (fixture.rules / "pack.yaml").write_text(PACK.replace("name: copies", "name: unused").replace("'yes'}", "'never'}"))
    async with fixture.running(fixture.operator()):
        await fixture.config_map("own", {"pack.yaml": PACK}, pack=True)
        await fixture.clock.advance(5)
        await fixture.config_map("renamed", {"pack.yaml": renamed}, pack=True)
        await fixture.clock.advance(5)
        if source == "gone":
            fail(fixture, 403, "Secret", "delete")
            await gone(fixture)
            await fixture.clock.advance(5)
            fixture.cluster.faults = Faults(fixture.clock.time)
        before = await packs(fixture)
        await fixture.cluster.delete(CONFIG_MAP, "system", "own")
        await fixture.clock.advance(30)

        assert set(before.values()) == {"copies"}
        assert await packs(fixture) == dict.fromkeys(ALL if source == "there" else ["a/other"], "spread")
    messages = {each["message"] for each in await fixture.events("default") if each["reason"] == "RuleFailed"}
    said = "that name is among previousNames here, and still in use: delete pack copies, then this rule goes on with it"
    assert messages and all(said in each and "kubectl delete" not in each for each in messages)


async def packs(fixture: Fixture) -> dict[str, str]:
    """By which pack each copy is generated."""
    found = [obj for space in "ab" for obj in (await fixture.cluster.list(Selection(SECRET, space))).items]
    return {f"{metadata(obj)['namespace']}/{metadata(obj)['name']}": labels_of(obj)[GENERATED_BY] for obj in found}
