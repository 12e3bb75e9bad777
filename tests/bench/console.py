"""The console: for how long a page keeps the event loop, with 10,000 objects and 500 rules, and what memory it takes.

The whole operator in one process on an embedded cluster; curl asks for the pages. Exits 1 where a page keeps the loop for more
than 50 ms of CPU. The pause by the clock is longer where the machine has other things to do.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlencode

from engine.cli.run import collect_rarely
from engine.kube.clock import cancel
from tests.bench.machine import about
from tests.unit.console.builder import ADMIN, Console
from tests.unit.operator.test_operator import WIDGET

OBJECTS, PACKS, RULES = 10_000, 10, 50
"""How many objects and packs there are, and rules of each pack."""
LARGE = 1_000_000
"""Characters of the largest object."""
ALLOWED = 0.05
"""Seconds of CPU for which a page may keep the event loop."""
PACK = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: NAME}
spec:
  watch: {apiVersion: example.com/v1, kind: Widget}
  rules:
"""
RULE = """\
    - name: rNUMBER
      when: [object.spec.size > 100, "object.spec.note != 'NUMBER'"]
      existing: CatchUp
      oncePer: object.spec.note
      actions: [{annotate: {annotations: {example.com/rNUMBER: '${object.spec.size}'}}}]
"""


def packs() -> str:
    """The packs, in one text."""
    rules = "".join(RULE.replace("NUMBER", str(number)) for number in range(RULES))
    return "---\n".join(PACK.replace("NAME", f"p{number}") + rules for number in range(PACKS))


class Beat:
    """The longest that the event loop was kept from this task, in seconds by the clock and of CPU."""

    def __init__(self) -> None:
        self.pause, self.cpu = 0.0, 0.0

    async def run(self) -> None:
        """Measure until cancelled."""
        last, used = time.perf_counter(), time.thread_time()
        while True:
            await asyncio.sleep(0)
            now, cpu = time.perf_counter(), time.thread_time()
            self.pause, self.cpu = max(self.pause, now - last), max(self.cpu, cpu - used)
            last, used = now, cpu


async def visited(console: Console, name: str, path: str) -> dict[str, Any]:
    """What one page costs."""
    beat, began, before = Beat(), time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    beating = asyncio.create_task(beat.run())
    command = ("curl", "-sk", "-H", f"Cookie: rulepack-token={ADMIN}", console.url + path)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    page, _ = await process.communicate()
    await cancel(beating)
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    return {
        "page": name, "bytes": len(page), "seconds": time.perf_counter() - began, "pause": beat.pause, "cpu": beat.cpu,
        "memory_mb": memory,
    }  # fmt: skip


async def measured(folder: Path, objects: int) -> list[dict[str, Any]]:
    """What each page costs, that of an object also once more: the first one prepares what the others use."""
    console = Console(folder, packs())
    async with console.running():
        sizes = {f"w{number}": (number % 100, "x") for number in range(objects)}
        for name, (size, note) in {**sizes, "fires": (200, "x"), "large": (1, "x" * LARGE)}.items():
            meta, spec = {"name": name, "namespace": "team-a"}, {"size": size, "note": note}
            body = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": meta, "spec": spec}
            await console.cluster.create(WIDGET, "team-a", body)
        await console.clock.advance(2)
        while console.operator.queue.depth:
            await console.clock.advance(2)
        pages = {"objects": "objects", "a search": "objects?name=w99"}
        for name in ("w0", "w0", "fires", "large"):
            query = {"apiVersion": "example.com/v1", "kind": "Widget", "namespace": "team-a", "name": name}
            pages[f"object {name}{', again' if f'object {name}' in pages else ''}"] = f"object?{urlencode(query)}"
        pages |= {"activity": "activity", "audit": "audit", "packs": "packs"}
        return [await visited(console, name, path) for name, path in pages.items()]


def main() -> None:
    """Measure, and print; `--output FILE` keeps the figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.console", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--objects", type=int, default=OBJECTS, help=f"how many there are (default: {OBJECTS:,})")
    parser.add_argument("--output", type=Path, help="a file for the figures, as JSON")
    options = parser.parse_args()
    collect_rarely()
    with TemporaryDirectory() as name:
        pages = asyncio.run(measured(Path(name), options.objects))
    for each in pages:
        pause, cpu = each["pause"] * 1000, each["cpu"] * 1000
        print(f"{each['page']:16} {each['bytes']:8,} bytes in {each['seconds']:.2f} s, "
              f"pause {pause:.0f} ms, of CPU {cpu:.0f} ms, {each['memory_mb']} MB more")  # fmt: skip
    if options.output:
        figures = {"machine": about("tests.bench.console"), "objects": options.objects, "rules": PACKS * RULES, "pages": pages}
        options.output.write_text(json.dumps(figures, indent=1) + "\n")
    sys.exit(any(each["cpu"] > ALLOWED for each in pages))


if __name__ == "__main__":
    main()
