"""Alerts and dashboard speak of metrics that there are, and each alert leads to what to do."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml
from prometheus_client.parser import text_string_to_metric_families

from engine.operator.metrics import Metrics
from scripts.bundle import ROOT
from tests.browser.dashboard import SHOWN, digest

MONITORING = ROOT / "config/monitoring"
BOARD = json.loads((MONITORING / "dashboard.json").read_text())
OPERATING = (ROOT / "docs/operating.md").read_text()


def rules() -> list[dict[str, Any]]:
    document = yaml.safe_load((MONITORING / "prometheus_rule.yaml").read_text())
    return [rule for group in document["spec"]["groups"] for rule in group["rules"]]


def known() -> set[str]:
    """The engine's metrics, as Prometheus has them."""
    families = text_string_to_metric_families(Metrics().text().decode())
    suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"], "gauge": [""]}
    return {family.name + suffix for family in families for suffix in suffixes[family.type]}


def test_expressions_use_metrics_that_there_are() -> None:
    """No alert and no panel asks for a metric that the engine does not have."""
    panels = [target["expr"] for panel in BOARD["panels"] for target in panel["targets"]]
    expressions = [rule["expr"] for rule in rules()] + panels
    asked = {name for expression in expressions for name in re.findall(r"rulepack_\w+", expression)}
    assert asked - known() == set()


def test_each_series_has_a_name() -> None:
    """The legend of each query says by labels that its result has, or in words, what a line is."""
    for target in (target for panel in BOARD["panels"] for target in panel["targets"]):
        kept = re.findall(r"by \(([^)]*)\)", target["expr"])
        assert target["legendFormat"]
        assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= {label.strip() for label in kept[0].split(",")}


def test_no_panel_lies_on_another() -> None:
    """Each cell of the dashboard belongs to one panel, and each row is full."""
    places = [panel["gridPos"] for panel in BOARD["panels"]]
    cells = [(x, y) for at in places for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])]
    assert sorted(cells) == [(x, y) for x in range(24) for y in range(max(at["y"] + at["h"] for at in places))]


def test_the_picture_of_the_docs_is_of_this_dashboard() -> None:
    """It has been taken since the dashboard changed last, with each panel on it; if not: `make pictures`."""
    shown = json.loads(SHOWN.read_text())
    assert shown["sha256"] == digest(), "the dashboard has changed: make pictures"
    assert {panel["title"] for panel in BOARD["panels"]} <= set(shown["text"])
    assert "No data" not in shown["text"]


def test_runbook_links_lead_somewhere() -> None:
    """Each alert's runbook link names a heading of docs/operating.md."""
    headings = {line.removeprefix("### ").lower() for line in OPERATING.splitlines() if line.startswith("### Rulepack")}
    linked = {rule["annotations"]["runbook_url"].partition("docs/operating.md#")[2] for rule in rules()}
    assert linked == headings


def test_each_metric_is_documented() -> None:
    """docs/operating.md names every metric of the engine, but for the old names, which stand in docs/upgrade.md."""
    pages = OPERATING + (ROOT / "docs/upgrade.md").read_text()
    missing = [name for name in known() if name.removesuffix("_bucket") not in pages and not name.endswith(("_sum", "_count"))]
    assert missing == []
