"""Jobs that succeed one after another while something happens to the operator, and how long each waits for its effect."""

from __future__ import annotations

import statistics
import threading
import time
from datetime import UTC, datetime
from typing import Self

from engine.model.objects import annotations_of, metadata
from tests.e2e.cluster import Cluster, eventually
from tests.node.node import Node
from tests.world import JOB, job

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

        def look() -> bool:
            self._read()
            return self._waited.keys() == self._made.keys()

        eventually(look, "effect of each job", patience)
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
        self._cluster.create(job(name, "Succeeded", {"argocd.argoproj.io/sync-wave": "3"}, self._cluster.namespace, completed))
        self._made[name] = time.monotonic()

    def _read(self) -> None:
        for one in self._cluster.all(JOB):
            name = str(metadata(one)["name"])
            if name in self._made and WAVE in annotations_of(one):
                self._waited.setdefault(name, time.monotonic() - self._made[name])
