"""Lookups: what a change of an object that others look up costs, by how many there are and how many depend on it.

The whole operator in one process on an embedded cluster: CPU time until what depends on one changed object is evaluated; pauses
of the event loop, and the wait of another namespace, where everything depends on it; memory for each object that is held.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from engine.cel import backend
from engine.cli.run import collect_rarely
from engine.kube.clock import SystemClock, cancel
from engine.kube.embedded import EmbeddedCluster
from engine.model.objects import Kind, Object, Ref, Resource
from engine.model.observe import Act, Evaluated
from engine.operator.settings import Settings
from engine.operator.wiring import Operator
from tests.bench.machine import about

CONFIG_MAPS = Resource(Kind("v1", "ConfigMap"), "configmaps", True)
NAMESPACES = Resource(Kind("v1", "Namespace"), "namespaces", False)
SIZES, EACH = (500, 5_000, 50_000), 10
"""How many objects there are, and how many of them depend on one other."""
ROUNDS = 20
MEMORY = (500, 2_500)
"""Numbers of objects between which memory is compared."""
PATIENCE, BEAT = 300.0, 0.005
"""Seconds after which a run is given up, and between two checks of the clock."""
PACK = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: follow}
spec:
  watch: {apiVersion: v1, kind: ConfigMap, labelSelector: {role: source}, fields: [data]}
  targets:
    - {apiVersion: v1, kind: ConfigMap, verbs: [list, watch], consent: 'true'}
  rules:
    - name: follow
      lookup:
        settings: {apiVersion: v1, kind: ConfigMap, namespace: settings, name: '${object.data.settings}'}
      when: lookup.settings.data.value == 'never'
      actions:
        - annotate: {annotations: {example.com/value: '${lookup.settings.data.value}'}}
"""


class Evaluations:
    """An observer that counts evaluations, and notes when the last one in each namespace was."""

    def __init__(self) -> None:
        self.count, self.at = 0, dict[str, float]()

    def evaluated(self, pack: str, rule: str, obj: Ref, result: Evaluated, reason: str) -> None:
        """Count it."""
        self.count += 1
        self.at[obj.namespace] = time.perf_counter()

    def acted(self, act: Act) -> None:
        """Do nothing: nothing fires."""

    def measured(self, *_: object) -> None:
        """Do nothing."""

    def suspended(self, *_: object) -> None:
        """Do nothing."""

    def contested(self, *_: object) -> None:
        """Do nothing."""


def source(name: str, settings: str) -> Object:
    """A watched object that looks up some settings."""
    return {"metadata": {"name": name, "labels": {"role": "source"}}, "data": {"settings": settings}}


class Bench:
    """An operator on a cluster with so many objects, of which `each` depend on the same one."""

    def __init__(self, folder: Path, size: int, each: int) -> None:
        (folder / "pack.yaml").write_text(PACK)
        self.size, self.each = size, each
        self.cluster, self.seen = EmbeddedCluster(SystemClock()), Evaluations()
        settings = Settings(
            operator_namespace="system", rules=(folder,), address="127.0.0.1", port=0, probe_port=0, insecure_metrics=True,
            dry_run=True,
        )  # fmt: skip
        self.operator = Operator(self.cluster, settings, SystemClock(), backend(), self.seen)

    async def fill(self) -> None:
        """Create the objects."""
        for name in ("system", "settings", "one", "other"):
            await self.cluster.create(NAMESPACES, "", {"metadata": {"name": name}})
        for number in range(self.size // self.each):
            await self.cluster.create(CONFIG_MAPS, "settings", {"metadata": {"name": f"s{number}"}, "data": {"value": "0"}})
        for number in range(self.size):
            await self.cluster.create(CONFIG_MAPS, "one", source(f"c{number}", f"s{number // self.each}"))

    async def start(self) -> asyncio.Task[None]:
        """Run the operator until all objects are evaluated."""
        running = asyncio.create_task(self.operator.run(asyncio.Event()))
        await self.until(lambda: self.seen.count >= self.size)
        await asyncio.sleep(0.5)
        return running

    async def until(self, reached: Callable[[], bool]) -> None:
        """Wait until something is so. Raises TimeoutError."""
        async with asyncio.timeout(PATIENCE):
            while not reached():
                await asyncio.sleep(0.001)

    async def change(self, value: str) -> None:
        """Change what some objects look up."""
        await self.cluster.patch(CONFIG_MAPS, "settings", "s0", {"data": {"value": value}})


async def flat(size: int, folder: Path) -> dict[str, Any]:
    """CPU time of the process for one change that concerns ten objects of so many."""
    bench = Bench(folder, size, EACH)
    await bench.fill()
    running = await bench.start()
    costs, evaluations = list[float](), set[int]()
    for number in range(ROUNDS):
        before, began = bench.seen.count, time.process_time()
        await bench.change(f"v{number}")
        while bench.seen.count < before + EACH:
            await asyncio.sleep(0)
        costs.append(time.process_time() - began)
        await asyncio.sleep(0.05)
        evaluations.add(bench.seen.count - before)
    await cancel(running)
    return {"objects": size, "evaluations": sorted(evaluations), "cpu": sorted(costs)[len(costs) // 2], "worst": max(costs)}


async def spread(size: int, folder: Path) -> dict[str, Any]:
    """Pauses of the event loop, and the wait of another namespace, while all objects are evaluated for one change."""
    bench = Bench(folder, size, size)
    await bench.fill()
    running = await bench.start()
    pauses: list[tuple[float, float]] = []

    async def beat() -> None:
        last, used = time.perf_counter(), time.thread_time()
        while True:
            await asyncio.sleep(BEAT)
            now, cpu = time.perf_counter(), time.thread_time()
            pauses.append((now - last - BEAT, cpu - used))
            last, used = now, cpu

    beating = asyncio.create_task(beat())
    before, began = bench.seen.count, time.perf_counter()
    await bench.change("all")
    await asyncio.sleep(0.05)
    created = time.perf_counter()
    await bench.cluster.create(CONFIG_MAPS, "other", source("late", "s0"))
    await bench.until(lambda: "other" in bench.seen.at)
    waited = bench.seen.at["other"] - created
    await bench.until(lambda: bench.seen.count >= before + size + 1)
    took = time.perf_counter() - began
    await cancel(beating, running)
    longest, busiest = max(wall for wall, _ in pauses), max(cpu for _, cpu in pauses)
    return {"objects": size, "pause": longest, "cpu": busiest, "waited": waited, "took": took}


async def held(size: int, each: int, folder: Path) -> int:
    """Bytes that an operator holds for so many objects, what is the cluster's own left aside."""
    bench = Bench(folder, size, each)
    await bench.fill()
    gc.collect()
    tracemalloc.start()
    running = await bench.start()
    gc.collect()
    found, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    await cancel(running)
    return found


def memory(folder: Path) -> dict[str, float]:
    """Bytes for each watched object with what is remembered of its lookup, and for each object that is looked up."""
    small, large = MEMORY
    shared, alone = (
        (asyncio.run(held(large, each, folder)) - asyncio.run(held(small, each, folder))) / (large - small) for each in (EACH, 1)
    )
    looked_up = (alone - shared) / (1 - 1 / EACH)
    return {"looked up": looked_up, "watched": alone - looked_up}


def milliseconds(seconds: float) -> str:
    """Return a duration as people read it."""
    return f"{seconds * 1000:.1f} ms"


def main() -> None:
    """Measure, and print; `--output FILE` keeps the figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.lookups", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--largest", type=int, default=SIZES[-1], help="no more objects than that (default: 50,000)")
    parser.add_argument("--output", type=Path, help="a file for the figures, as JSON")
    options = parser.parse_args()
    collect_rarely()
    sizes = [size for size in SIZES if size <= options.largest]
    with TemporaryDirectory() as name:
        folder = Path(name)
        flats = [asyncio.run(flat(size, folder)) for size in sizes]
        for each in flats:
            cpu, worst = milliseconds(each["cpu"]), milliseconds(each["worst"])
            print(f"{each['objects']:,} objects, evaluations {each['evaluations']}: {cpu} CPU, at most {worst}", flush=True)
        spreads = asyncio.run(spread(sizes[-1], folder))
        pause, cpu, waited = (milliseconds(spreads[name]) for name in ("pause", "cpu", "waited"))
        print(f"{spreads['objects']:,} objects, all evaluated in {spreads['took']:.1f} s", flush=True)
        print(f"the longest pause of the loop is {pause}, by CPU time {cpu}; another namespace waits {waited}", flush=True)
        bytes_held = memory(folder)
        print(f"{bytes_held['looked up']:,.0f} bytes for each object that is looked up", flush=True)
        print(f"{bytes_held['watched']:,.0f} bytes for each watched object that looks up one")
    if options.output:
        figures = {"machine": about("tests.bench.lookups"), "flat": flats, "spread": spreads, "memory": bytes_held}
        options.output.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
