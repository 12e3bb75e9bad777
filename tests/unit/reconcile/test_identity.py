"""Packs of one name from different namespaces share nothing: each is known by its namespace and its name."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.cel import backend
from engine.kube.fake_clock import FakeClock
from engine.model.flags import Mode
from engine.model.names import _LABEL_KEY, dns_label
from engine.model.objects import Kind, annotations_of, metadata
from engine.model.observe import Observers
from engine.operator.activity import Activity
from engine.operator.metrics import MetricError, Metrics
from engine.packs.identity import config_key, metric_name, record_name
from engine.packs.pack import RulePack
from engine.packs.parse import parse_pack
from engine.testing import world as testing
from tests.world import EVENT, POD, World, named, pod

CONFIG = Kind("v1", "ConfigMap")
PACK = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: p}
spec:
  watch: {apiVersion: v1, kind: Pod}
  params: {greeting: {type: string, default: hello}}
  targets:
    - {apiVersion: v1, kind: Pod, verbs: [get, list, delete]}
    - {apiVersion: v1, kind: ConfigMap, verbs: [get, list, patch]}
  metrics: {seen_total: {type: counter, help: Pods seen.}}
  rules:
    - name: greet
      oncePer: object.metadata.uid
      actions:
        - emitEvent: {type: Normal, reason: Seen, message: '${params.greeting}'}
        - metric: {name: seen_total}
"""
DELETE = """\
    - name: stale
      when: label(object, 'stale') == 'yes'
      actions:
        - delete: {target: {apiVersion: v1, kind: Pod, name: '${object.metadata.name}'}}
"""
TOTALS = """\
    - name: totals
      when: label(object, 'team') == params.greeting
      aggregate:
        by: "'group'"
        target: {apiVersion: v1, kind: ConfigMap, namespace: ns, name: '${groupKey}'}
        counts: {pods: 'true'}
      actions:
        - annotate: {annotations: {'example.com/${params.greeting}': '${string(group.pods)}'}}
"""
NAMESPACES = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True)


def pack(namespace: str, more: str = "") -> RulePack:
    """The pack `p` of a namespace, '' for the operator's."""
    (found,) = parse_pack(PACK + more, f"{namespace}.yaml", backend(), namespace)
    return found


async def records(world: World, kind: Kind, name: str) -> dict[str, Any]:
    """The firing records on an object."""
    found = annotations_of(await world.get(kind, name))
    return {key.partition("/")[2]: json.loads(text) for key, text in found.items() if key.startswith("fired.rules.mlops.dev/")}


async def messages(world: World) -> list[str]:
    """What the Events say."""
    return sorted(event["message"] for event in await world.all(EVENT))


async def test_each_fires_with_its_params_and_has_a_record_of_its_own() -> None:
    """What the one has done is not done for the other, which has params of its own; a restart repeats neither."""
    world = World(pack(""), pack("team"), params={"p": {"greeting": "hello"}, "team/p": {"greeting": "hi"}})
    await world.create(pod("a"))
    await world.settle()
    assert await messages(world) == ["hello", "hi"]
    assert (await records(world, POD, "a")).keys() == {"p.greet", "team.p.greet"}

    world.restart()
    await world.settle()
    assert (await messages(world), len(world.writes)) == (["hello", "hi"], 3)


async def test_events_with_one_message_are_two() -> None:
    """The same words about the same object: an Event of each pack, and each names its own."""
    world = World(pack(""), pack("team"))
    await world.create(pod("a"))
    await world.settle()
    reported = sorted(event["reportingInstance"] for event in await world.all(EVENT))
    assert reported == ["p.greet", "team/p.greet"]


async def test_each_has_a_mode_of_its_own() -> None:
    """The one that is Off does nothing, whatever the other does."""
    world = World(pack(""), pack("team"), modes={"p": Mode.OFF, "team/p": Mode.ENFORCE})
    await world.create(pod("a"))
    await world.settle()
    assert (await records(world, POD, "a")).keys() == {"team.p.greet"}


async def test_each_has_a_budget_of_its_own() -> None:
    """The one that has spent its budget is suspended; the other goes on."""
    spends, goes_on = pack("team", DELETE), pack("", DELETE.replace("'stale') == 'yes'", "'old') == 'yes'"))
    world = World(spends, goes_on, params={"team/p": {"disruptionsPerMinute": 1}, "p": {"disruptionsPerMinute": 9}})
    await world.create(*(pod(f"stale-{number}", stale="yes") for number in range(3)))
    await world.create(*(pod(f"old-{number}", old="yes") for number in range(3)))
    await world.settle()
    left = sorted(str(metadata(each)["name"]) for each in await world.all(POD))
    assert left == ["stale-1", "stale-2"]
    assert world.seen.suspensions == ["team/p of ns"]


async def test_each_counts_groups_of_its_own() -> None:
    """Two groups of one key on one target: each counts what its own params say, with a record of its own."""
    counting = [pack(namespace, TOTALS) for namespace in ("", "team")]
    world = World(*counting, params={"p": {"greeting": "red"}, "team/p": {"greeting": "blue"}})
    await world.create(named(CONFIG, "group"), pod("a", team="red"), pod("b", team="blue"), pod("c", team="blue"))
    await world.settle()
    assert await world.annotations(CONFIG, "group") == {"example.com/red": "1", "example.com/blue": "2"}
    assert (await records(world, CONFIG, "group")).keys() == {"p.totals", "team.p.totals"}


async def test_each_is_in_force_since_a_time_of_its_own() -> None:
    """A pack that comes later is in force from then on only, though one of its name is there already."""
    world = World(pack(""))
    first = datetime.fromtimestamp(world.clock.time(), UTC)
    await world.settle(seconds=3600, step=3600)
    world.use(pack(""), pack("team"))
    later = datetime.fromtimestamp(world.clock.time(), UTC)
    times = {name: time.since for name, time in world.catalog.times.items()}
    assert times == {"p.greet": first, "team.p.greet": later}


async def test_each_is_counted_and_shown_by_itself() -> None:
    """Metrics, the packs' own too, and /packs distinguish them; the operator's own keeps its short form."""
    metrics, activity = Metrics(), Activity(FakeClock(0.0))
    packs = pack(""), pack("team-a")
    for each in packs:
        metrics.declare(each.identity, each.metrics.values())
    world = World(*packs)
    world.seen = Observers(metrics, activity)  # type: ignore[assignment]
    testing.World.restart(world)
    await world.create(pod("a"))
    await world.settle()
    lines = metrics.text().decode().splitlines()
    for name in ("p", "team-a/p"):
        assert f'rulepack_evaluations_total{{pack="{name}",result="fired",rule="greet"}} 1.0' in lines
        assert activity.rules[name, "greet"].fired
    assert [line for line in lines if "seen_total" in line and not line.startswith("#")] == [
        "seen_total 1.0",
        "team_a:seen_total 1.0",
    ]


def test_a_metric_is_shared_with_no_other_namespace() -> None:
    """A pack that declares by hand what another namespace's metric is called has that as its fault."""
    metrics, team = Metrics(), pack("team")
    metrics.declare(team.identity, team.metrics.values())
    (own,) = parse_pack(PACK.replace("seen_total", "team:seen_total"), "own.yaml", backend())
    with pytest.raises(MetricError, match=r"pack p: metric team:seen_total is declared differently by pack team/p"):
        metrics.declare(own.identity, own.metrics.values())


def test_flags_and_params_of_another_namespace_have_keys_of_their_own() -> None:
    """In a ConfigMap, where no slash can stand: `namespace.name`."""
    team = pack("team")
    assert (team.feature_flag, team.config_key, team.identity) == ("team.p", "team.p", "team/p")
    flagged = parse_pack(PACK.replace("spec:\n", "spec:\n  featureFlag: common\n"), "p.yaml", backend(), "team")
    assert flagged[0].feature_flag == "team.common"


def test_short_forms_are_those_of_0_1() -> None:
    """What belongs to the operator's own packs is called as it was before there were others."""
    own = pack("")
    assert (own.identity, own.feature_flag, own.config_key) == ("p", "p", "p")
    assert own.record_names == {"greet": ("p.greet",)}
    assert own.metrics["seen_total"].name == "seen_total"


@given(NAMESPACES, NAMESPACES, NAMESPACES)
def test_a_record_of_any_names_is_a_valid_annotation(namespace: str, name: str, rule: str) -> None:
    """However long they are, the key is one that the API server takes."""
    key = f"fired.rules.mlops.dev/{record_name(namespace, name, rule)}"
    assert dns_label(namespace)
    assert _LABEL_KEY.match(key), key


@given(st.sets(st.tuples(NAMESPACES | st.just(""), NAMESPACES, NAMESPACES), min_size=2, max_size=8))
def test_no_two_names_are_one(names: set[tuple[str, str, str]]) -> None:
    """Different packs and rules have different records, keys and metrics."""
    assert len({record_name(*name) for name in names}) == len(names)
    packs = {name[:2] for name in names}
    assert len({config_key(*each) for each in packs}) == len(packs)
    metrics = {(namespace, each.replace("-", "_")) for namespace, each in packs}
    assert len({metric_name(*each) for each in metrics}) == len(metrics)


@pytest.mark.parametrize(("name", "rule"), [*product(["p", "p" * 30], ["r", "r" * 30])])
def test_a_long_name_is_shortened_for_records_only(name: str, rule: str) -> None:
    """A namespace of 63 characters leaves no room for names: a digest stands for all three."""
    namespace = "n" * 63
    text = PACK.replace("name: p}", f"name: {name}}}").replace("name: greet", f"name: {rule}")
    (found,) = parse_pack(text, "p.yaml", backend(), namespace)
    (record,) = found.record_names[rule]
    assert len(record) <= 63
    assert record.endswith(f"_{rule}")
