"""Each alert, evaluated by promtool on series that the engine has written: when it fires, and that it is silent otherwise."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from engine.kube.faults import InjectedFault
from engine.model.objects import Kind, Ref
from engine.model.observe import Evaluated
from engine.operator.metrics import Metrics
from engine.operator.wiring import Operator
from tests.bundle.test_monitoring import rules
from tests.unit.operator.test_operator import PACK, Fixture

WIDGET = Ref(Kind("example.com/v1", "Widget"), "default", "a")
Series = dict[tuple[str, tuple[tuple[str, str], ...]], list[str]]


class Recorder:
    """What a Prometheus has that scrapes each minute; series that are not there at a scrape have no value then."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._series, self._scrapes = folder, Series(), 0

    def scrape(self, minutes: int, **pods: bytes | None) -> None:
        """Let some minutes pass in which each pod, such as `one` or `namespace/one`, answers with a text, or not at all."""
        for _ in range(minutes):
            for path, text in pods.items():
                namespace, _, pod = path.rpartition("/")
                where = {"namespace": namespace or "rulepack-system", "job": "rulepack-metrics", "pod": pod}
                self._add("up", where, "0" if text is None else "1")
                for family in text_string_to_metric_families((text or b"").decode()):
                    for sample in family.samples:
                        self._add(sample.name, {**sample.labels, **where}, repr(sample.value))
            self._scrapes += 1
            for known in self._series.values():
                known.extend(["_"] * (self._scrapes - len(known)))

    def _add(self, name: str, labels: Mapping[str, str], value: str) -> None:
        values = self._series.setdefault((name, tuple(sorted(labels.items()))), [])
        values += ["_"] * (self._scrapes - len(values))
        values.append(value)

    def firing(self) -> set[str]:
        """The alerts that fire after the last scrape."""
        names = [rule["alert"] for rule in rules()]
        return {name for name in names if self._fires(name)}

    def _fires(self, name: str) -> bool:
        (self._folder / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "rulepack", "rules": rules()}]}))
        series = [
            {"series": name + "{" + ",".join(f'{label}="{value}"' for label, value in labels) + "}", "values": " ".join(values)}
            for (name, labels), values in self._series.items()
        ]
        expression = f'count(ALERTS{{alertname="{name}", alertstate="firing"}}) > bool 0 or vector(0)'
        test = {
            "interval": "1m", "input_series": series,
            "promql_expr_test": [
                {"expr": expression, "eval_time": f"{self._scrapes - 1}m", "exp_samples": [{"labels": "{}", "value": 1}]}
            ],
        }  # fmt: skip
        path = self._folder / "test.yaml"
        path.write_text(yaml.safe_dump({"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": [test]}))
        done = subprocess.run(["promtool", "test", "rules", path], capture_output=True, text=True, check=False)
        said = done.stdout + done.stderr
        assert done.returncode == 0 or "exp" in said, said
        return done.returncode == 0


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    """A recorder of its own."""
    folder = tmp_path / "prometheus"
    folder.mkdir()
    return Recorder(folder)


async def texts(fixture: Fixture, minutes: int, *operators: Operator) -> Sequence[bytes]:
    """What operators say of themselves after some minutes."""
    await fixture.clock.advance(60.0 * minutes)
    return [operator.metrics.text() for operator in operators]


async def test_two_healthy_replicas_are_silent(recorder: Recorder, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A leader and a standby that are well, with much for the standby to read: no alert at all; it logs once who leads."""
    caplog.set_level("INFO")
    fixture = Fixture(tmp_path)
    leader, standby = fixture.operator(identity="one"), fixture.operator(identity="two")
    for number in range(150):
        await fixture.widget(f"w{number}")
    async with fixture.running(leader, standby):
        for _ in range(4):
            one, two = await texts(fixture, 1, leader, standby)
            recorder.scrape(5, one=one, two=two)
        assert standby.queue.depth > 100
        assert len([record for record in caplog.records if "held by one" in record.message]) == 1
    assert recorder.firing() == set()


async def test_the_first_failure_of_a_rule_fires(recorder: Recorder, tmp_path: Path) -> None:
    """Of a rule that has not failed before: its counter was there at 0."""
    fixture = Fixture(tmp_path)
    (tmp_path / "pack.yaml").write_text(PACK.replace("${params.mark}", "${object.spec.absent}"))
    operator = fixture.operator()
    async with fixture.running(operator):
        (before,) = await texts(fixture, 1, operator)
        recorder.scrape(5, one=before)
        assert recorder.firing() == set()
        await fixture.widget("a")
        (after,) = await texts(fixture, 2, operator)
    recorder.scrape(2, one=after)
    assert recorder.firing() == {"RulepackActionsFail"}


async def test_every_counter_of_an_alert_begins_at_0(tmp_path: Path) -> None:
    """From the start of a pack on, for each of its rules: Prometheus sees no increase of a series that begins at 1."""
    fixture = Fixture(tmp_path)
    operator = fixture.operator()
    async with fixture.running(operator):
        (text,) = await texts(fixture, 1, operator)
    counted = {name for rule in rules() for name in re.findall(r"rulepack_\w+_total", rule["expr"])}
    values: dict[str, list[float]] = {name: [] for name in counted}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            if sample.name in counted:
                values[sample.name].append(sample.value)
    assert counted
    assert all(found and not any(found) for found in values.values()), values


async def test_a_kind_that_is_no_longer_served_fires(recorder: Recorder, tmp_path: Path) -> None:
    """A pack that has worked stops: warned of; one that has always waited is reported at level info."""
    fixture = Fixture(tmp_path)
    operator = fixture.operator()
    async with fixture.running(operator):
        (before,) = await texts(fixture, 1, operator)
        fixture.cluster.faults.add(InjectedFault(404, verb="list", kind="Widget", times=None))
        fixture.cluster.faults.add(InjectedFault(404, verb="watch", kind="Widget", times=None))
        fixture.cluster.cut_watches()
        (after,) = await texts(fixture, 10, operator)
    assert b'rulepack_pack_waiting{kind="Widget.example.com/v1",pack="marks"} 1.0' in after
    recorder.scrape(5, one=before)
    recorder.scrape(15, one=after)
    assert recorder.firing() == {"RulepackPackStopped"}


def leading(count: float, shards: int = 1) -> bytes:
    """A replica of so many shards that leads, or does not."""
    metrics = Metrics()
    metrics.leader.record((), count)
    metrics.shards.record((), shards)
    return metrics.text()


def test_nobody_who_leads_fires(recorder: Recorder) -> None:
    """Two standbys, or nobody who answers, whatever a second installation in the cluster does."""
    recorder.scrape(12, **{"a/one": leading(0), "a/two": leading(0), "b/one": leading(1), "b/two": leading(0)})
    assert "RulepackNoLeader" in recorder.firing()


def test_a_failure_of_one_installation_is_reported_with_its_namespace(recorder: Recorder) -> None:
    """Each alert that fires names the installation that it is about, and another one that is well keeps none from firing."""
    before, after = changed(lambda metrics: metrics.queue_depth.record((), 500))
    recorder.scrape(5, **{"a/one": before, "b/one": before})
    recorder.scrape(20, **{"a/one": after, "b/one": before})
    assert recorder.firing() == {"RulepackQueueStuck"}
    assert all("namespace" in rule["expr"] or "by (" not in rule["expr"] for rule in rules())


def test_pods_that_do_not_answer_fire(recorder: Recorder) -> None:
    """Their series are gone, and nobody says that nobody leads."""
    recorder.scrape(5, one=leading(1), two=leading(0))
    recorder.scrape(12, one=None, two=None)
    assert "RulepackNoLeader" in recorder.firing()


@pytest.mark.parametrize("third", [leading(0, 3), None], ids=["waits", "is gone"])
def test_a_shard_that_nobody_acts_for_fires(recorder: Recorder, third: bytes | None) -> None:
    """Whether its pod waits or is gone; with all three there is silence."""
    recorder.scrape(8, one=leading(1, 3), two=leading(1, 3), three=leading(1, 3))
    assert recorder.firing() == set()
    recorder.scrape(12, one=leading(1, 3), two=leading(1, 3), three=third)
    assert recorder.firing() == {"RulepackShardWithoutLeader"}


def changed(change: Callable[[Metrics], object]) -> tuple[bytes, bytes]:
    """What a leader says before and after a change."""
    metrics = Metrics()
    metrics.leader.record((), 1)
    metrics.shards.record((), 1)
    metrics.evaluations.begin(("marks", "mark", Evaluated.UNKNOWN))
    before = metrics.text()
    change(metrics)
    return before, metrics.text()


@pytest.mark.parametrize(
    ("alert", "change"),
    [
        ("RulepackPackRefused", lambda metrics: metrics.pack_errors.record((), 1)),
        ("RulepackErrors", lambda metrics: metrics.errors.record(())),
        ("RulepackQueueStuck", lambda metrics: metrics.queue_depth.record((), 500)),
        ("RulepackUnknown", lambda metrics: metrics.evaluated("marks", "mark", WIDGET, Evaluated.UNKNOWN, "")),
        ("RulepackItemsWaiting", lambda metrics: metrics.waiting.record(("marks", "mark", "Outage"), 1)),
        ("RulepackNamespaceSuspended", lambda metrics: metrics.suspensions.record(("marks", "default"))),
        ("RulepackPackWaits", lambda metrics: metrics.pack_waiting.record(("marks", "Widget.example.com/v1"), 1)),
    ],
)
def test_what_goes_wrong_fires(recorder: Recorder, alert: str, change: Callable[[Metrics], object]) -> None:
    """And nothing else does."""
    before, after = changed(change)
    recorder.scrape(5, one=before)
    assert recorder.firing() == set()
    recorder.scrape({"RulepackQueueStuck": 20, "RulepackItemsWaiting": 20, "RulepackPackWaits": 70}.get(alert, 8), one=after)
    assert recorder.firing() == {alert}
