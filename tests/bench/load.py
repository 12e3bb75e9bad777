"""The load of a run, a process of its own so that its CPU counts for nobody: changes of status, and a watch on the effect.

With a rate it is an open loop: a change is sent when its time has come, however long the ones before it take. Without one,
changes are sent as fast as the server takes them, so many at a time. Prints one JSON object.
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
PATIENCE = 60.0
#: Seconds after the last annotation in which a contestant may finish what it does about its own write.
TAIL = 0.5


class Load:
    """Changes sent, and when a watch has shown them and their annotations; times are those of perf_counter, in seconds."""

    def __init__(self, session: aiohttp.ClientSession, jobs: int, numbers: range, rate: float | None, in_flight: int) -> None:
        self._session, self._jobs, self._numbers, self._rate = session, jobs, numbers, rate
        self._slots = asyncio.Semaphore(len(numbers) if rate else in_flight)
        self._number = {workload.change(number, jobs)[1]["completionTime"]: number for number in numbers}
        self._sent: dict[int, float] = {}
        self._answered: dict[int, float] = {}
        self._seen: dict[int, float] = {}
        self._due: dict[int, float] = {}
        self._versions: dict[str, int] = {}
        self._delivered: dict[str, float] = {}
        self.failed: list[str] = []
        #: The last change of each job: an earlier one may be overtaken and is then never seen.
        self._awaited = set(numbers[-jobs:])
        self._all_seen = asyncio.Event()

    async def watch(self, resource_version: str) -> None:
        """Note when the annotation of each change is there. Never returns."""
        headers = {"Accept": client.METADATA_ONLY.format("PartialObjectMetadata")}
        async for event in client.watch(self._session, workload.ALL_JOBS, resource_version, headers):
            self._delivered.setdefault(event["object"]["metadata"]["resourceVersion"], time.perf_counter())
            annotations = event["object"]["metadata"].get("annotations", {})
            for name in workload.TIME_ANNOTATIONS:
                number = self._number.get(annotations.get(name, ""))
                if number is not None and number not in self._seen:
                    self._seen[number] = time.perf_counter()
                    self._awaited.discard(number)
            if not self._awaited:
                self._all_seen.set()

    async def offer(self) -> None:
        """Send every change, then wait until the last one of each job has its annotation, or patience ends."""
        start = time.perf_counter() + 0.1
        async with asyncio.TaskGroup() as group:
            for index, number in enumerate(self._numbers):
                if self._rate:
                    self._due[number] = start + index / self._rate
                    await asyncio.sleep(max(0.0, self._due[number] - time.perf_counter()))
                await self._slots.acquire()
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
            job = await client.send(self._session, "PATCH", f"{workload.JOBS}/{name}/status", {"status": status})
            self._versions[job["metadata"]["resourceVersion"]] = number
        except aiohttp.ClientError as error:
            self.failed.append(f"{name}: {error}")
        finally:
            self._slots.release()
        self._answered[number] = time.perf_counter()

    def figures(self) -> dict[str, Any]:
        """What was offered and what came of it; times in milliseconds."""
        began, changes = min(self._sent.values()), len(self._numbers)
        delivered = [(self._versions[version], at) for version, at in self._delivered.items() if version in self._versions]
        latencies = [seen - self._answered[number] for number, seen in self._seen.items()]
        return {
            "changes": changes,
            "taken_per_second": round(changes / (max(self._answered.values()) - began), 1),
            "done_per_second": round(len(self._seen) / (max(self._seen.values(), default=began + PATIENCE) - began), 1),
            "sent_late_ms": milliseconds([self._sent[number] - due for number, due in self._due.items()]),
            "status_write_ms": milliseconds([answered - self._sent[number] for number, answered in self._answered.items()]),
            "delivery_ms": milliseconds([max(0.0, at - self._answered[number]) for number, at in delivered]),
            "latency_ms": milliseconds(latencies),
            "unseen_changes": changes - len(self._seen),
            "unanswered_changes": len(self._awaited),
            "failed_writes": self.failed[:5],
        }


async def _run(options: argparse.Namespace) -> dict[str, Any]:
    async with client.connect(options.kubeconfig, "bench-load") as session:
        headers = {"Accept": client.METADATA_ONLY.format("PartialObjectMetadataList")}
        listed = await client.get(session, workload.ALL_JOBS, headers)
        numbers = range(options.first, options.first + options.changes)
        load = Load(session, options.jobs, numbers, options.rate, options.in_flight)
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
    parser.add_argument("--first", type=int, required=True, help="the number of the first change; see workload.change")
    parser.add_argument("--changes", type=int, required=True, help="how many")
    parser.add_argument("--rate", type=float, help="changes a second (default: as fast as the server takes them)")
    parser.add_argument("--in-flight", type=int, default=32, help="without a rate: how many are under way (default %(default)s)")
    print(orjson.dumps(uvloop.run(_run(parser.parse_args()))).decode())


if __name__ == "__main__":
    main()
