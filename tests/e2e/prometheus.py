"""Debian's Prometheus, beside a test."""

from __future__ import annotations

import json
import shutil
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from tests.controlplane.processes import Processes, free_ports


def assert_installed() -> None:
    """Fail at once where Prometheus is not installed, and say how it is."""
    assert shutil.which("promtool"), "these tests need Prometheus: apt-get install prometheus"


class Prometheus:
    """A Prometheus that scrapes targets once a second, if any, and evaluates the rules in the folder's `rules.yaml`, if any.

    `folder/data` is its storage, which may have blocks of any age.
    """

    def __init__(self, folder: Path, *targets: str) -> None:
        (self._port,) = free_ports(1)
        self._processes, self._folder = Processes(folder), folder
        scrape = {"job_name": "rulepack", "static_configs": [{"targets": [*targets]}]}
        settings = {"global": {"scrape_interval": "1s", "evaluation_interval": "1s"}, "rule_files": ["rules.yaml"]}
        (folder / "prometheus.yml").write_text(yaml.safe_dump({**settings, "scrape_configs": [scrape]}))

    def __enter__(self) -> Prometheus:
        self._processes.start("prometheus", [
            "prometheus", f"--config.file={self._folder}/prometheus.yml", f"--storage.tsdb.path={self._folder}/data",
            "--storage.tsdb.retention.time=100y", f"--web.listen-address=127.0.0.1:{self._port}",
        ])  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        self._processes.kill_all()

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The result of an expression now; empty where Prometheus does not answer yet. Fails where it refuses the expression."""
        return self._ask("query", query=expression)

    def between(self, expression: str, start: float, end: float, step: float) -> list[dict[str, Any]]:
        """As `query`, at each step of that many seconds from start to end, which are in seconds since the Unix epoch."""
        return self._ask("query_range", query=expression, start=start, end=end, step=step)

    def _ask(self, path: str, **parameters: str | float) -> list[dict[str, Any]]:
        query = urllib.parse.urlencode(parameters)
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/api/v1/{path}?{query}", timeout=5) as answer:
                result: list[dict[str, Any]] = json.load(answer)["data"]["result"]
                return result
        except urllib.error.HTTPError as refusal:
            if refusal.code == 503:  # it starts
                return []
            raise AssertionError(refusal.read().decode()) from refusal
        except OSError:
            assert not self._processes.ended(), self._processes.end_of_log("prometheus")
            return []
