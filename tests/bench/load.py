"""The load of a run, a process of its own so that its CPU counts for nobody: changes at a fixed rate, and a watch on the effect.

Open loop: a change is sent when its time has come, however long the ones before it take. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import uvloop

from tests.bench import client, workload
from tests.bench.figures import milliseconds
from tests.bench.processes import cpu_seconds

#: Seconds that a contestant may take for what is left when the last change has been sent.
PATIENCE = 30.0
#: Seconds after the last annotation in which a contestant may finish what it does about its own write.
TAIL = 0.5


class Load:
    """Changes sent and annotations seen; times are those of perf_counter, in seconds."""

    def __init__(self, session: aiohttp.ClientSession, jobs: int, rate: float, seconds: float) -> None:
        self._session, self._jobs, self._rate = session, jobs, rate
        self.changes = round(rate * seconds)
        self._number = {workload.change(number, jobs)[1]["completionTime"]: number for number in range(self.changes)}
        self._sent: dict[int, float] = {}
        self._answered: dict[int, float] = {}
        self._seen: dict[int, float] = {}
        self._due: dict[int, float] = {}
        self.failed: list[str] = []
        #: The last change of each job: an earlier one may be overtaken and is then never seen.
        self._awaited = set(range(max(0, self.changes - jobs), self.changes))
        self._all_seen = asyncio.Event()

    async def watch(self, resource_version: str) -> None:
        """Note when the annotation of each change is there. Never returns while the server keeps the watch."""
        headers = {"Accept": client.METADATA_ONLY.format("PartialObjectMetadata")}
        async for event in client.watch(self._session, workload.ALL_JOBS, resource_version, headers):
            annotations = event["object"]["metadata"].get("annotations", {})
            for name in workload.TIME_ANNOTATIONS:
                number = self._number.get(annotations.get(name, ""))
                if number is not None and number not in self._seen:
                    self._seen[number] = time.perf_counter()
                    self._awaited.discard(number)
            if not self._awaited:
                self._all_seen.set()

    async def offer(self) -> None:
        """Send every change at its time, then wait until the last one of each job has its annotation, or patience ends."""
        start = time.perf_counter() + 0.1
        async with asyncio.TaskGroup() as group:
            for number in range(self.changes):
                self._due[number] = start + number / self._rate
                await asyncio.sleep(max(0.0, self._due[number] - time.perf_counter()))
                group.create_task(self._send(number))
        try:
            await asyncio.wait_for(self._all_seen.wait(), PATIENCE)
        except TimeoutError:
            return
        await asyncio.sleep(TAIL)

    async def _send(self, number: int) -> None:
        name, status = workload.change(number, self._jobs)
        self._sent[number] = time.perf_counter()
        try:
            await client.send(self._session, "PATCH", f"{workload.JOBS}/{name}/status", {"status": status})
        except aiohttp.ClientError as error:
            self.failed.append(f"{name}: {error}")
        self._answered[number] = time.perf_counter()

    def figures(self) -> dict[str, Any]:
        """What was offered and what came of it; times in milliseconds."""
        took = max(self._answered.values()) - min(self._sent.values())
        latencies = [seen - self._answered[number] for number, seen in self._seen.items()]
        return {
            "changes": self.changes,
            "achieved_rate": round(self.changes / took, 1),
            "sent_late_ms": milliseconds([sent - self._due[number] for number, sent in self._sent.items()]),
            "status_write_ms": milliseconds([answered - self._sent[number] for number, answered in self._answered.items()]),
            "latency_ms": milliseconds(latencies),
            "unseen_changes": self.changes - len(self._seen),
            "failed_writes": self.failed[:5],
        }


async def _run(options: argparse.Namespace) -> dict[str, Any]:
    async with client.connect(options.kubeconfig, "bench-load") as session:
        headers = {"Accept": client.METADATA_ONLY.format("PartialObjectMetadataList")}
        listed = await client.get(session, workload.ALL_JOBS, headers)
        load = Load(session, options.jobs, options.rate, options.seconds)
        watching = asyncio.create_task(load.watch(listed["metadata"]["resourceVersion"]))
        before = cpu_seconds(options.pid)
        await load.offer()
        after = cpu_seconds(options.pid)
        if watching.done():
            watching.result()
        watching.cancel()
        return {"cpu_seconds": after - before, **load.figures()}


def main() -> None:
    """Offer the load that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--pid", type=int, required=True, help="the contestant, whose CPU time is taken before and after")
    parser.add_argument("--jobs", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True, help="changes a second")
    parser.add_argument("--seconds", type=float, required=True)
    print(orjson.dumps(uvloop.run(_run(parser.parse_args()))).decode())


if __name__ == "__main__":
    main()
