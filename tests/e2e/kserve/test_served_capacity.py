"""How many pods serve during a restart: docs/served-capacity.md, of which this test holds each line.

With SERVED_CAPACITY=write it writes the table. Seconds are measured then, and not compared.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from engine.model.objects import Kind, metadata
from tests.capacity import Capacity, serves
from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import Cluster, eventually
from tests.e2e.engine import Engine
from tests.e2e.kserve.job import reported
from tests.e2e.kserve.service import BROKEN, HEALTHY, Service
from tests.simulators.kubelet import Kubelet
from tests.simulators.objects import LABELS, workload
from tests.world import JOB, POD, RULES, SERVICE, job, named, trigger, triggers

PAGE = RULES.parent / "docs" / "served-capacity.md"
STATEFUL_SET = Kind("apps/v1", "StatefulSet")
QUOTA, BUDGET = Kind("v1", "ResourceQuota"), Kind("policy/v1", "PodDisruptionBudget")
REPLICAS = (1, 3, 4, 8)
STRATEGIES = ("RollingUpdate", "Recreate", "StatefulSet", "Evict")
CONDITIONS = ("room", "quota full", "broken model", "PDB")
#: Seconds until a restart must have said how it ended, or what it waits for, which it does after a minute.
PATIENCE = 150.0
ENDS = ("TriggerFailed", "TriggerSuccess", "TriggerWaiting")
BEGIN, END = "<!-- measured -->", "<!-- end -->"


@dataclass(slots=True)
class Cell:
    """One restart: of so many pods, by a strategy, under a condition."""

    cluster: Cluster
    kubelet: Kubelet
    replicas: int
    strategy: str
    condition: str
    capacity: Capacity | None = None

    @property
    def _labels(self) -> dict[str, str]:
        service = {"serving.kserve.io/inferenceservice": "model", "component": "predictor"}
        return dict(LABELS) if self.strategy == "StatefulSet" else service

    def create(self) -> None:
        """Create what is restarted, and return without waiting."""
        self.kubelet.use(HEALTHY, self.cluster.namespace)
        if self.strategy == "StatefulSet":
            workload(self.cluster, STATEFUL_SET, replicas=self.replicas, serviceName="web", podManagementPolicy="Parallel")
            return
        recreate: dict[str, Any] = {"deploymentStrategy": {"type": "Recreate"}} if self.strategy == "Recreate" else {}
        Service(self.cluster, self.kubelet, "model").make(self.replicas, **recreate)

    def ready(self) -> bool:
        """Whether all its pods serve."""
        pods = [pod for pod in self.cluster.all(POD) if self._labels.items() <= metadata(pod).get("labels", {}).items()]
        return len(pods) == self.replicas and all(map(serves, pods))

    def hinder(self) -> None:
        """Bring the condition about."""
        if self.condition == "quota full":
            self.cluster.create(named(QUOTA, "full", self.cluster.namespace, spec={"hard": {"pods": "0"}}))
        elif self.condition == "broken model":
            self.kubelet.use(BROKEN, self.cluster.namespace)
        elif self.condition == "PDB":
            spec = {"minAvailable": self.replicas, "selector": {"matchLabels": self._labels}}
            self.cluster.create(named(BUDGET, "all", self.cluster.namespace, spec=spec))

    def record(self) -> Capacity:
        """Begin to record how many pods serve."""
        selector = ",".join(f"{key}={value}" for key, value in self._labels.items())
        self.capacity = Capacity(self.cluster.plane, self.cluster.namespace, selector)
        return self.capacity

    def restart(self, completed: str) -> None:
        """A job succeeds that asks for it."""
        kind, name = (STATEFUL_SET, "web") if self.strategy == "StatefulSet" else (SERVICE, "model")
        asked = triggers(trigger(kind, name, "restart"))
        self.cluster.create(job(phase="Succeeded", completed=completed, annotations=asked, namespace=self.cluster.namespace))

    def reported(self) -> bool:
        """Whether the job has an Event about how the restart ended, or what it waits for; the engine's own may come before it."""
        return bool({*ENDS} & {*reported(self.cluster)})

    def line(self) -> str:
        """What came of it, as a line of the table."""
        assert self.capacity is not None
        lowest, below = self.capacity.lowest, self.capacity.below()
        messages = dict(self.cluster.events("train"))
        reason = next(reason for reason in ENDS if reason in messages)
        why = "" if reason == "TriggerSuccess" else f": {_short(messages[reason])}"
        first = _short(messages["TriggerStarted"]) if "be missing" in messages.get("TriggerStarted", "") else ""
        said = f"{first}; then {reason}{why}" if first else f"{reason}{why}"
        column = f"{below:.0f} s" + (" (until it was stopped)" if below and reason != "TriggerSuccess" else "")
        return f"| {self.replicas} | {self.strategy} | {self.condition} | {lowest} | {column} | {said} |"


def _short(message: str) -> str:
    """The part of a message that says why; names that differ from run to run are left out."""
    for pattern in (r"its own strategy lets \d+ of \d+ pods be missing", r"exceeded quota: full", r"model\.joblib: no such file",
                    r"PodDisruptionBudget all allows 0 pods to go", r"would take its only pod"):  # fmt: skip
        if found := re.search(pattern, message):
            return found[0]
    return re.sub(r"\d+ new pods? .*", "no pod comes", message.partition("waits: ")[2] or message)


@pytest.fixture
def cells(control_plane: ControlPlane, kubelet: Kubelet, namespace: str, strategy: str) -> Iterator[list[Cell]]:
    """All numbers of pods under all conditions, each in a namespace of its own."""
    made = []
    for replicas in REPLICAS:
        for number, condition in enumerate(CONDITIONS):
            name = f"{namespace}-{replicas}-{number}"
            control_plane.ensure("/api/v1/namespaces", {"metadata": {"name": name}})
            made.append(Cell(Cluster(control_plane, name), kubelet, replicas, strategy, condition))
    yield made
    for cell in made:
        control_plane.request("DELETE", f"/api/v1/namespaces/{cell.cluster.namespace}")


@pytest.mark.nightly
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_table_of_served_capacity_holds(cells: list[Cell], stopped_engine: Engine, strategy: str) -> None:
    """What serves is never less than the owner's own strategy, or maxUnavailable, allows; what is reported is what was so."""
    if strategy == "Evict":
        stopped_engine.params({"on-success-triggers": "restartStrategy: Evict\n"})
    stopped_engine.start(None, *(f"--namespace={cell.cluster.namespace}" for cell in cells))
    stopped_engine.ready()
    for cell in cells:
        cell.create()
    for cell in cells:
        eventually(cell.ready, f"{cell.replicas} pods", PATIENCE)
        cell.hinder()
    time.sleep(2.1)  # creation times are in whole seconds, and controllers see to quotas and budgets
    with ExitStack() as recording:
        for cell in cells:
            recording.enter_context(cell.record())
        completed = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        for cell in cells:
            cell.restart(completed)
        for cell in cells:
            eventually(cell.reported, f"Event about {cell}", PATIENCE)

    assert all(cell.cluster.find(JOB, "train") for cell in cells)
    lines = sorted((cell.line() for cell in cells), key=_order)
    if os.environ.get("SERVED_CAPACITY") == "write":
        _write(strategy, lines)
    page = PAGE.read_text()
    assert list(map(_without_seconds, lines)) == [_without_seconds(line) for line in _lines(page, strategy)]


def _lines(page: str, strategy: str) -> list[str]:
    """The lines of the table that are about a strategy."""
    return [line for line in page.splitlines() if line.startswith("| ") and line.split(" | ")[1:2] == [strategy]]


def _write(strategy: str, lines: list[str]) -> None:
    """Put the lines in the place of those that there are."""
    page = PAGE.read_text()
    head, _, rest = page.partition(BEGIN)
    old, _, tail = rest.partition(END)
    kept = [line for line in old.strip().splitlines() if line not in _lines(page, strategy)]
    PAGE.write_text("\n".join([head + BEGIN, *kept[:2], *sorted([*kept[2:], *lines], key=_order), END + tail]))


def _order(line: str) -> tuple[int, int, int]:
    replicas, strategy, condition = line.strip("| ").split(" | ")[:3]
    return STRATEGIES.index(strategy), CONDITIONS.index(condition), int(replicas)


def _without_seconds(line: str) -> str:
    return re.sub(r"\| \d+ s[^|]*\|", "| |", line)
