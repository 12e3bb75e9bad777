"""`rulepack run` with a heart: a task of its loop that notes how long the loop did nothing else.

A program, not a module of the benchmark: it imports nothing but the engine, so that PYTHONPATH chooses whose engine it runs.
The file OUTPUT always has the longest pause so far as JSON: in seconds by the clock, and of CPU that the loop's thread used in
it, which other processes on the machine do not lengthen. What comes before the first list, the compilation of the packs, does
not count: nothing waits for the loop yet.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import signal
import sys
import time
from pathlib import Path

import uvloop

from engine.cel import backend
from engine.cli.arguments import Cluster
from engine.cli.run import collect_rarely
from engine.kube.clock import SystemClock
from engine.operator.settings import Settings
from engine.operator.wiring import Operator

#: Seconds between two beats.
BEAT = 0.005


async def beat(operator: Operator, output: Path) -> None:
    """Note the longest pauses. Never returns."""
    longest = {"pause_s": 0.0, "pause_cpu_s": 0.0}
    while not operator.caches.informers:
        await asyncio.sleep(BEAT)
    while True:
        began, cpu = time.perf_counter(), time.thread_time()
        await asyncio.sleep(BEAT)
        found = {"pause_s": time.perf_counter() - began - BEAT, "pause_cpu_s": time.thread_time() - cpu}
        if any(found[name] > longest[name] for name in longest):
            longest = {name: max(found[name], longest[name]) for name in longest}
            output.write_text(json.dumps(longest))


async def run(options: argparse.Namespace) -> None:
    """Run the engine until SIGTERM."""
    settings = Settings(
        operator_namespace=options.operator_namespace, namespaces=options.namespaces or ("",), rules=tuple(options.rules),
        kubeconfig=options.kubeconfig, address="127.0.0.1", port=0, probe_port=0, insecure_metrics=True,
    )  # fmt: skip
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with Cluster(settings.kubeconfig).connected() as api:
        cel = backend()
        operator = Operator(api, settings, SystemClock(), cel)
        heart = asyncio.create_task(beat(operator, options.output))
        await operator.run(stop)
        heart.cancel()


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--rules", type=Path, action="append", required=True)
    parser.add_argument("--namespace", dest="namespaces", action="append")
    parser.add_argument("--operator-namespace", required=True)
    parser.add_argument("--output", type=Path, required=True)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stdout)
    collect_rarely()
    uvloop.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
