"""Jobs that succeed one after another while something happens to the operator, and how long each waits for its effect."""

from __future__ import annotations

import statistics
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from typing import Self

from engine.model.objects import Object, annotations_of, metadata
from tests.e2e.cluster import Cluster, eventually
from tests.e2e.walkthrough import workload
from tests.node.node import Node
from tests.world import DEPLOYMENT, EVENT, JOB, job, trigger, triggers

WAVE = "mlops.dev/wave-complete"
#: Seconds between two jobs, and between two reads.
EVERY, READ = 1.0, 0.1


class Load:
    """One job a second in a namespace of its own for as long as the context lasts; each is to be given its wave."""

    def __init__(self, node: Node, namespace: str) -> None:
        node.plane.ensure("/api/v1/namespaces", {"metadata": {"name": namespace}})
        self._cluster = Cluster(node.plane, namespace)
        self._made: dict[str, float] = {}
        self._waited: dict[str, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._fault: Exception | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def all_done(self, what: str, patience: float = 60.0) -> None:
        """Stop making jobs, wait until each has had its effect, and print how long they waited."""
        self._stop.set()
        self._thread.join()
        if self._fault:
            raise self._fault

        def found() -> bool:
            self._read()
            return self._waited.keys() == self._made.keys()

        eventually(found, "effect of each job", patience)
        waited = sorted(self._waited.values())
        print(
            f"{what}: {len(waited)} of {len(self._made)} jobs, median {statistics.median(waited):.2f} s, max {waited[-1]:.1f} s"
        )

    def wait_for(self, more: int) -> None:
        """Wait until this many more jobs than now have had their effect."""
        goal = len(self._waited) + more
        eventually(lambda: self._fault or len(self._waited) >= goal, f"effect of {more} more jobs", 120)

    def _run(self) -> None:
        try:
            due = time.monotonic()
            while not self._stop.wait(READ):
                if time.monotonic() >= due:
                    due += EVERY
                    self._make()
                self._read()
        except Exception as error:  # raised again where the test waits
            self._fault = error

    def _make(self) -> None:
        name = f"job-{len(self._made)}"
        completed = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._cluster.create(job(name, "Succeeded", self._asks(len(self._made)), self._cluster.namespace, completed))
        self._made[name] = time.monotonic()

    def _asks(self, number: int) -> dict[str, str]:
        """The annotations of a job."""
        return {"argocd.argoproj.io/sync-wave": "3"}

    def _read(self) -> None:
        for one in self._cluster.all(JOB):
            name = str(metadata(one)["name"])
            if name in self._made and WAVE in annotations_of(one):
                self._waited.setdefault(name, time.monotonic() - self._made[name])


class Restarts(Load):
    """As a Load; each job also has a Deployment of its own restarted, which has no pods and is older than its success."""

    #: By how many jobs it is older: times are in whole seconds, and after a halt jobs are made in a row.
    _OLDER = 30

    def __init__(self, node: Node, namespace: str) -> None:
        super().__init__(node, namespace)
        for number in range(self._OLDER):
            self._create_target(number)

    def all_restarted(self, patience: float = 60.0) -> None:
        """Wait until the Deployment of each job so far has been restarted."""
        made = len(self._made)
        eventually(lambda: all(self.restarts()[:made]), "restart of each Deployment", patience)

    def restarts(self) -> list[int]:
        """How often the Deployment of each job so far has been restarted: each change of its template is a new generation."""
        found = {str(metadata(one)["name"]): int(metadata(one)["generation"]) for one in self._cluster.all(DEPLOYMENT)}
        return [found[f"web-{number}"] - 1 for number in range(len(self._made))]

    def jobs(self) -> dict[str, Object]:
        """The jobs as they are, by name."""
        return {str(metadata(one)["name"]): one for one in self._cluster.all(JOB)}

    def reported(self) -> Counter[tuple[str, str]]:
        """How often each job has each reason in an Event."""
        reported: Counter[tuple[str, str]] = Counter()
        for one in self._cluster.all(EVENT):
            reported[one["involvedObject"]["name"], one["reason"]] += one.get("count") or 1
        return reported

    def _make(self) -> None:
        self._create_target(len(self._made) + self._OLDER)
        super()._make()

    def _asks(self, number: int) -> dict[str, str]:
        return {**super()._asks(number), **triggers(trigger(DEPLOYMENT, f"web-{number}", "restart"))}

    def _create_target(self, number: int) -> None:
        body = workload(DEPLOYMENT, f"web-{number}", namespace=self._cluster.namespace)
        body["spec"]["replicas"] = 0
        self._cluster.create(body)
