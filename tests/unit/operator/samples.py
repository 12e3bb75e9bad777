"""What Prometheus reads in a text of metrics."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families


def sample(text: bytes, name: str, labels: Mapping[str, str] | None = None) -> float | None:
    """The value of one series; None where it is not there."""
    samples = [one for family in text_string_to_metric_families(text.decode()) for one in family.samples]
    return next((one.value for one in samples if one.name == name and one.labels == dict(labels or {})), None)
