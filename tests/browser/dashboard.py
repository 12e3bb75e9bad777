"""The dashboard of config/monitoring, drawn by Grafana's own components with an hour of a running operator.

Grafana itself is under the AGPL; its components are npm packages under the Apache License, which tests/browser/grafana pins.
Two replicas run on an embedded cluster, whose clock is moved on whenever all work is done, so that an hour takes half a minute.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
from playwright.async_api import Browser, Page, Route, expect

from engine.kube.fake_clock import FakeClock
from engine.operator.settings import OPERATOR_NAMESPACE
from engine.operator.wiring import Operator
from scripts.project import ROOT
from scripts.vendor import MissingNpm, member, tarball
from tests.browser.packages import CACHE
from tests.e2e.cluster import eventually
from tests.e2e.prometheus import Prometheus, assert_installed
from tests.unit.operator.test_operator import CONFIG_MAP, NAMESPACE, Fixture
from tests.world import CUSTOM, RULES, job

DASHBOARD = ROOT / "config/monitoring/dashboard.json"
SOURCE = Path(__file__).parent / "grafana"
SHOWN = SOURCE / "shown.json"
"""Of which dashboard the picture is, and the text on it."""
START = datetime(2026, 1, 26, 8, 57, tzinfo=UTC).timestamp()
SCRAPE = 15.0
"""Seconds."""
LEAST = 300.0
"""Seconds of history that each query of the dashboard needs."""
FONT = "@fontsource/inter", "5.3.0"
WEIGHTS = {"Regular": 400, "Medium": 500}
WIDTH, GAP = 1000, 8
PAGE = "https://dashboard.test/"
JOBS = CUSTOM[0][0]
PACK = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: crash-watch}
spec:
  description: Marks pods that keep restarting.
  watch: {apiVersion: v1, kind: Pod, fields: [status.containerStatuses]}
  rules:
    - name: report-restarts
      when: get(object, 'status.containerStatuses', []).exists(c, c.restartCount >= 5)
      actions: [{label: {labels: {example.com/unstable: 'true'}}}]
"""


class WorkingClock(FakeClock):
    """One on which work takes the time that the processor needs for it, from the moment that `count` is called."""

    _began: float | None = None

    def count(self) -> None:
        """Count from now on."""
        self._began = time.thread_time()

    def monotonic(self) -> float:
        """See `FakeClock.monotonic`."""
        return super().monotonic() + (0.0 if self._began is None else time.thread_time() - self._began)


class Hour:
    """Two replicas with packs, the shipped ones unless others are named, and notebook jobs that come and end.

    `scraped` is what `/metrics` said meanwhile, as lines of OpenMetrics, and `last` the time of the last ones.
    """

    def __init__(self, folder: Path, rules: Path = RULES) -> None:
        self.clock = WorkingClock(START)
        self._fixture = Fixture(folder, self.clock)
        self.cluster = self._fixture.cluster
        for resource, status in CUSTOM:
            self.cluster.register(resource, status_subresource=status)
        own: dict[str, Any] = {"operator_namespace": OPERATOR_NAMESPACE, "rules": (rules,)}
        self.replicas = [self._fixture.operator(**own, identity=f"rulepack-{name}") for name in "ab"]
        self.scraped: list[str] = []
        self.last = START
        self._random = random.Random(48)  # the same hour each time
        self._ends: list[tuple[float, str]] = []
        self._count = 0

    async def pass_by(self, seconds: float) -> None:
        """Have that time pass, with a scrape of each replica every 15 seconds."""
        for name in (OPERATOR_NAMESPACE, "team-a"):
            await self.cluster.create(NAMESPACE, "", {"metadata": {"name": name}})
        labels = {"rules.mlops.dev/rule-pack": "true"}
        own = {"metadata": {"name": "own", "labels": labels}, "data": {"pack.yaml": PACK}}
        await self.cluster.create(CONFIG_MAP, OPERATOR_NAMESPACE, own)
        async with self._fixture.running(*self.replicas), aiohttp.ClientSession() as session:
            self.clock.count()  # reading the packs is over
            passed = 0.0
            while passed <= seconds:
                await self._work(passed / seconds)
                for replica in self.replicas:
                    async with session.get(f"http://127.0.0.1:{replica.server.port}/metrics") as answer:
                        self._keep(await answer.text(), replica)
                await self.clock.advance(SCRAPE)
                passed += SCRAPE

    def _keep(self, text: str, replica: Operator) -> None:
        """Keep the samples of a scrape, with the labels that a ServiceMonitor adds, and its time."""
        pod, self.last = self.replicas.index(replica), self.clock.time()
        added = f'namespace="{OPERATOR_NAMESPACE}",job="rulepack-metrics",pod="rulepack-{pod}"'
        for name, labels, value in re.findall(r"^(\w+)(?:\{(.*)\})? (\S+)$", text, re.MULTILINE):
            self.scraped.append(f"{name}{{{added}{',' * bool(labels)}{labels}}} {value} {self.last:.3f}\n")

    async def _work(self, part: float) -> None:
        """Have jobs end, and others come, more of them in the second third; in the last one a pack is refused for a while."""
        due = [name for end, name in self._ends if end <= self.clock.time()]
        self._ends = [(end, name) for end, name in self._ends if name not in due]
        for name in due:
            phase = self._random.choices(("Succeeded", "Failed"), (8, 1))[0]
            ended = datetime.fromtimestamp(self.clock.time(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            status = job(name, phase, completed=ended, message="cell 7: ValueError")["status"]
            await self.cluster.patch(JOBS, "team-a", name, {"status": status}, subresource="status")
        for _ in range(self._random.choices(range(4), (1, 2, 2, 2) if 1 / 3 < part < 2 / 3 else (4, 1, 0, 0))[0]):
            self._count += 1
            body = job(f"train-{self._count}", None, {"argocd.argoproj.io/sync-wave": str(self._count % 5)}, "team-a")
            name = body["metadata"]["name"]
            await self.cluster.create(JOBS, "team-a", body)
            await self.cluster.patch(JOBS, "team-a", name, {"status": {"phase": "Running"}}, subresource="status")
            self._ends.append((self.clock.time() + self._random.uniform(60, 300), name))
        data = {"pack.yaml": PACK.replace(">= 5", "=> 5") if 0.75 < part < 0.85 else PACK}
        await self.cluster.patch(CONFIG_MAP, OPERATOR_NAMESPACE, "own", {"data": data})


def digest() -> str:
    """The SHA-256 of the dashboard."""
    return hashlib.sha256(DASHBOARD.read_bytes()).hexdigest()


def answers(folder: Path, hour: Hour) -> dict[str, Any]:
    """The dashboard, and what a Prometheus with what was scraped answers to its queries, for `draw` of board.jsx."""
    assert_installed()
    text, board = folder / "scraped.txt", json.loads(DASHBOARD.read_text())
    text.write_text("".join(hour.scraped) + "# EOF\n")
    subprocess.run(
        ["promtool", "tsdb", "create-blocks-from", "openmetrics", text, folder / "data"], check=True, capture_output=True
    )
    start, end = START + LEAST, hour.last
    with Prometheus(folder) as prometheus:
        eventually(lambda: prometheus.query("vector(1)"), "Prometheus")
        found = {
            panel["id"]: [prometheus.between(target["expr"], start, end, SCRAPE) for target in panel["targets"]]
            for panel in board["panels"]
        }
    return {"dashboard": board, "answers": found, "from": start, "to": end}


def components() -> tuple[str, str]:
    """The script that draws, and its style sheet, bundled once from what tests/browser/grafana pins. Raises MissingNpm."""
    sources = [SOURCE / name for name in ("package.json", "package-lock.json", "board.jsx")]
    version = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    built = CACHE / f"dashboard-{version[:16]}"
    if not built.exists():
        npm = shutil.which("npm")
        if npm is None:
            raise MissingNpm("the picture of the dashboard needs Node.js with npm")
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            for path in sources:
                shutil.copy(path, folder)
            for arguments in (["ci", "--ignore-scripts", "--no-audit", "--no-fund"], ["run", "bundle"]):
                done = subprocess.run([npm, *arguments], cwd=folder, capture_output=True, text=True, check=False)
                if done.returncode:
                    raise MissingNpm(f"npm {' '.join(arguments)}: {done.stderr.strip() or done.stdout.strip()}")
            (Path(folder) / "built").replace(built)
    return (built / "board.js").read_text(), (built / "board.css").read_text()


@asynccontextmanager
async def drawn(browser: Browser, what: dict[str, Any]) -> AsyncIterator[Page]:
    """A page as high as the dashboard, with `answers` on it. Raises MissingNpm."""
    script, style = components()
    font = tarball(*FONT, CACHE)

    async def serve(route: Route) -> None:
        weight = re.search(r"/Inter-(\w+)\.woff2$", route.request.url)
        if weight:
            await route.fulfill(
                body=member(font, f"files/inter-latin-{WEIGHTS[weight[1]]}-normal.woff2"), content_type="font/woff2"
            )
        else:
            assert route.request.url == PAGE
            await route.fulfill(body="<!doctype html><main></main>", content_type="text/html")

    page = await browser.new_page(viewport={"width": WIDTH, "height": 720})
    try:
        await page.route("**/*", serve)
        await page.goto(PAGE)
        await page.add_style_tag(content=f"{style} body {{ margin: 0 }} main {{ margin: {GAP}px; width: {WIDTH - 2 * GAP}px }}")
        await page.add_script_tag(content=script)
        await page.evaluate("what => draw(what)", what)
        for panel in what["dashboard"]["panels"]:
            await expect(page.get_by_role("region", name=panel["title"]).locator("canvas, svg").first).to_be_visible()
        height = await page.locator("main").evaluate("main => main.offsetHeight")
        await page.set_viewport_size({"width": WIDTH, "height": height + 2 * GAP})
        yield page
    finally:
        await page.close()
