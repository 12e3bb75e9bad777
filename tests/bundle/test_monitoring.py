"""Alerts and dashboard speak of metrics that there are, and each alert leads to what to do."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml
from prometheus_client.parser import text_string_to_metric_families

from engine.operator.metrics import Metrics
from scripts.bundle import ROOT

MONITORING = ROOT / "config/monitoring"
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
    board = json.loads((MONITORING / "dashboard.json").read_text())
    panels = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    expressions = [rule["expr"] for rule in rules()] + panels
    asked = {name for expression in expressions for name in re.findall(r"rulepack_\w+", expression)}
    assert asked - known() == set()


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
