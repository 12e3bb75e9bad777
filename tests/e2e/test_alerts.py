"""Alerts and dashboard, evaluated by Debian's Prometheus: on recorded series, and on an engine that runs."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from scripts.bundle import ROOT
from tests.e2e.cluster import Cluster, eventually
from tests.e2e.engine import Engine
from tests.e2e.kinds import install_kinds
from tests.e2e.prometheus import Prometheus, assert_installed
from tests.world import job

MONITORING = ROOT / "config/monitoring"
RULES = yaml.safe_load((MONITORING / "prometheus_rule.yaml").read_text())["spec"]
ALERTS = {rule["alert"] for group in RULES["groups"] for rule in group["rules"]}
CASES = ROOT / "tests/bundle/alerts.yaml"
DASHBOARD = json.loads((MONITORING / "dashboard.json").read_text())
EXPRESSIONS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


@pytest.fixture(autouse=True, scope="module")
def _programs() -> None:
    assert_installed()


def write_rules(folder: Path) -> None:
    """The rules as a file of Prometheus, without what only leads people on."""
    groups = json.loads(json.dumps(RULES["groups"]))
    for group in groups:
        for rule in group["rules"]:
            del rule["annotations"]["runbook_url"]
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": groups}))


def promtool(folder: Path, cases: str) -> subprocess.CompletedProcess[str]:
    """What `promtool test rules` says of cases."""
    write_rules(folder)
    (folder / "cases.yaml").write_text(cases)
    return subprocess.run(["promtool", "test", "rules", "cases.yaml"], cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.e2e
def test_alerts_fire_when_they_should(tmp_path: Path) -> None:
    """… and at no other time, on series as a Prometheus records them."""
    done = promtool(tmp_path, CASES.read_text())
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.e2e
def test_a_case_can_fail(tmp_path: Path) -> None:
    """Promtool does check: with another severity the cases fail."""
    assert promtool(tmp_path, CASES.read_text().replace("severity: critical", "severity: info")).returncode == 1


@pytest.mark.e2e
def test_each_alert_has_cases() -> None:
    """One in which it fires, and one in which it does not."""
    found: dict[bool, set[str]] = {True: set(), False: set()}
    for test in yaml.safe_load(CASES.read_text())["tests"]:
        for case in test["alert_rule_test"]:
            found[bool(case["exp_alerts"])].add(case["alertname"])
    assert found == {True: ALERTS, False: ALERTS}


@pytest.fixture
def prometheus(stopped_engine: Engine, cluster: Cluster, tmp_path: Path) -> Iterator[Prometheus]:
    """One that has seen an engine do some jobs."""
    install_kinds(cluster.plane)
    engine = stopped_engine
    engine.start()
    engine.ready()
    write_rules(tmp_path)
    with Prometheus(tmp_path, engine.metrics) as prometheus:
        eventually(lambda: prometheus.query("rulepack_leader == 1"), "engine that is scraped")
        for number in range(3):
            cluster.create(job(f"train-{number}", "Succeeded", {"argocd.argoproj.io/sync-wave": "1"}, cluster.namespace))
            time.sleep(1)  # so that Prometheus sees counters grow
        eventually(lambda: prometheus.query('rulepack_actions_total{outcome="done"} > 2'), "actions that are counted")
        yield prometheus


@pytest.mark.e2e
def test_each_panel_shows_something(prometheus: Prometheus) -> None:
    """Each query of the dashboard has a number as its answer while an engine works."""
    for expression in EXPRESSIONS:
        results = eventually(lambda expression=expression: prometheus.query(expression), expression)  # type: ignore[misc]
        assert all(float(one["value"][1]) >= 0 for one in results), f"{expression}: {results}"


@pytest.mark.e2e
def test_no_alert_fires_while_all_is_well(prometheus: Prometheus) -> None:
    """Prometheus evaluates all of them on what the engine exports."""
    assert prometheus.query("ALERTS") == []
    assert prometheus.query("sum(rulepack_leader)")[0]["value"][1] == "1"
