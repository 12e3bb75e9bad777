"""Churn: what memory the engine holds after many jobs have come and gone, again and again.

The engine runs as it is shipped, with all packs, against `tests.bench.finished`: in each round so many jobs come, one in FRESH of
which has its effects, and all of them go. `python -m tests.bench.report` makes the table of docs/performance.md from the results.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import orjson

from tests.bench import drain, workload
from tests.bench.contestants import rest
from tests.bench.finished import FRESH
from tests.bench.machine import about
from tests.bench.processes import memory_mb

RESULTS = Path(__file__).parent / "results/churn.json"
#: Jobs that are there all the time.
STANDING = 100


def measure(jobs: int, rounds: int) -> dict[str, Any]:
    """Memory before the first round, in each round while the jobs are there, and once they are gone; `faults` where it failed."""
    found: dict[str, Any] = {"present_mb": [], "gone_mb": [], "faults": []}
    with drain.finished(STANDING) as server, tempfile.TemporaryDirectory(prefix="bench-") as folder:
        log = Path(folder) / "log"
        try:
            with drain.started(server, log) as (engine, metrics):
                began = time.time()
                while drain.evaluated(metrics) < STANDING:
                    drain.go_on(engine, began)
                rest(engine, drain.PATIENCE)
                found["before_mb"] = round(memory_mb(engine.pid), 1)
                for number in range(rounds):
                    began, expected = time.time(), drain.evaluated(metrics) + jobs
                    drain.get(f"{server}/bench/come/{number}/{jobs}", "POST")
                    while drain.evaluated(metrics) < expected:
                        drain.go_on(engine, began)
                    rest(engine, drain.PATIENCE)
                    found["present_mb"].append(round(memory_mb(engine.pid), 1))
                    drain.get(f"{server}/bench/go/{number}/{jobs}", "POST")
                    rest(engine, drain.PATIENCE)
                    found["gone_mb"].append(round(memory_mb(engine.pid), 1))
                    print(f"round {number + 1}: {found['present_mb'][-1]} MB, then {found['gone_mb'][-1]} MB", flush=True)
                changes = drain.get(f"{server}/bench/changes")["changes"]
        except (OSError, TimeoutError) as error:
            return found | {"faults": [f"{error}; the end of its log: {log.read_text(errors='replace')[-500:]}"]}
    patches = sum(workload.PLURAL in change for change in changes)
    if patches != (expected := len(range(0, jobs, FRESH)) * rounds):
        found["faults"].append(f"{patches} patches of jobs; expected {expected}, one of each that is not on record")
    return found


def main() -> None:
    """Measure, and write the results as JSON. Exits 1 where the run has faults."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.churn", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=20_000, help="that come and go in each round (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=10, help="default %(default)s")
    parser.add_argument("--output", type=Path, default=RESULTS, help="default: tests/bench/results/churn.json")
    options = parser.parse_args()
    results = about("tests.bench.churn") | {"jobs": options.jobs} | measure(options.jobs, options.rounds)
    options.output.write_bytes(orjson.dumps(results, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    if results["faults"]:
        sys.exit("; ".join(results["faults"]))


if __name__ == "__main__":
    main()
