"""Start and relist: how fast the engine judges a cluster full of jobs for which nothing is left to do, and how much it holds.

The engine runs as it is shipped, with all packs, against `tests.bench.finished`. `python -m tests.bench.report` makes the
table of docs/performance.md from the results.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import yaml

from tests.bench import workload
from tests.bench.contestants import ROOT, alive, rest
from tests.bench.figures import spread
from tests.bench.machine import about
from tests.bench.processes import cpu_seconds, peak_memory_mb
from tests.controlplane.processes import free_ports

RESULTS = Path(__file__).parent / "results/drain.json"
#: Seconds that a start may take.
PATIENCE = 300.0
JOBS = (12_000, 50_000)
FIGURES = ("objects_per_second", "cpu_us_per_object", "start_s", "peak_memory_mb", "relist_cpu_us_per_object")

Run = dict[str, Any]


def measure(jobs: int) -> Run:
    """One start of the engine, and one relist; `faults` where it failed, wrote anything, or evaluated again at the relist."""
    with finished(jobs) as server, tempfile.TemporaryDirectory(prefix="bench-") as folder:
        log = Path(folder) / "log"
        try:
            with started(server, log) as (engine, metrics):
                return _watched(engine, metrics, server, jobs)
        except (OSError, TimeoutError) as error:  # the other runs are still worth having
            return {"faults": [f"{error}; the end of its log: {log.read_text(errors='replace')[-500:]}"]}


@contextmanager
def started(server: str, log: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """The engine as it is shipped, with all packs, and the URL of its metrics; what it says goes to `log`."""
    kubeconfig = log.with_name("kubeconfig")
    kubeconfig.write_text(_kubeconfig(server))
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "engine.cli", "run", "--kubeconfig", str(kubeconfig), "--operator-namespace", "bench"]
    command += ["--address", "127.0.0.1", "--port", str(port), "--probe-port", "0", "--insecure-metrics"]
    with log.open("wb") as output:
        engine = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield engine, f"http://127.0.0.1:{port}/metrics"
    finally:
        engine.terminate()
        engine.wait(30)


def _watched(engine: subprocess.Popen[bytes], metrics: str, server: str, jobs: int) -> Run:
    began = time.time()
    while (listed := get(f"{server}/bench/changes")["listed_at"]) is None:
        go_on(engine, began)
    before = cpu_seconds(engine.pid)
    while evaluated(metrics) < jobs:
        go_on(engine, began)
    ended, cpu = time.time(), cpu_seconds(engine.pid) - before
    rest(engine, PATIENCE)
    so_far, quiet = evaluated(metrics), cpu_seconds(engine.pid)
    get(f"{server}/bench/relist", "POST")
    time.sleep(1)
    rest(engine, PATIENCE)
    changes = get(f"{server}/bench/changes")["changes"]
    faults = [f"{len(changes)} writes, the first {changes[0]}"] if changes else []
    if (again := evaluated(metrics) - so_far) != 0:
        faults.append(f"{again:g} objects evaluated again at the relist")
    return {
        "objects_per_second": round(jobs / (ended - listed)),
        "cpu_us_per_object": round(cpu * 1e6 / jobs),
        "start_s": round(ended - began, 1),
        "peak_memory_mb": round(peak_memory_mb(engine.pid)),
        "relist_cpu_us_per_object": round((cpu_seconds(engine.pid) - quiet) * 1e6 / jobs),
        "writes": len(changes),
        "faults": faults,
    }


def go_on(engine: subprocess.Popen[bytes], began: float) -> None:
    """Wait a moment. Raises TimeoutError when all of the time for a start has gone, ChildProcessError where the engine has."""
    alive(engine)
    if time.time() - began > PATIENCE:
        raise TimeoutError(f"not all jobs were evaluated after {PATIENCE:.0f} s")
    time.sleep(0.05)


def evaluated(metrics: str) -> float:
    """How many evaluations have ended, by the engine's own metrics; 0 before it serves them."""
    try:
        with urllib.request.urlopen(metrics, timeout=60) as answer:
            found = re.search(r"^rulepack_evaluation_seconds_count (\S+)$", answer.read().decode(), re.MULTILINE)
    except OSError:
        return 0.0
    return float(found[1]) if found else 0.0


def get(url: str, method: str = "GET") -> Any:
    """What the server answers, as JSON."""
    with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=PATIENCE) as answer:
        return json.loads(answer.read() or b"null")


@contextmanager
def finished(jobs: int) -> Iterator[str]:
    """The address of a server with so many jobs, ended at the end."""
    command = [sys.executable, "-m", "tests.bench.finished", "--jobs", str(jobs)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.terminate()


def _kubeconfig(server: str) -> str:
    return yaml.safe_dump({
        "apiVersion": "v1", "kind": "Config", "current-context": "bench",
        "clusters": [{"name": "bench", "cluster": {"server": server}}], "users": [{"name": "bench", "user": {"token": "none"}}],
        "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
    })  # fmt: skip


def summary(runs: Sequence[Run]) -> dict[str, dict[str, float]]:
    """Median and spread of each figure over the runs without faults; empty where there is none."""
    counted = [run for run in runs if not run["faults"]]
    return {figure: spread([run[figure] for run in counted]) for figure in FIGURES} if counted else {}


def main() -> None:
    """Measure, and write the results as JSON. Exits 1 where a run was invalid."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.drain", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--jobs", type=int, action="append", help=f"may be repeated (default: {', '.join(map(str, JOBS))})")
    parser.add_argument("--rounds", type=int, default=3, help="runs with the fewest jobs; with more, one (default %(default)s)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="default: tests/bench/results/drain.json")
    options = parser.parse_args()
    cases = options.jobs or JOBS
    results = about("tests.bench.drain") | {"job_bytes": workload.job_bytes(), "rounds": options.rounds}
    runs: dict[int, list[Run]] = {jobs: [] for jobs in cases}
    fewest = min(cases)
    for round_number in range(options.rounds):
        for jobs in cases:
            if jobs == fewest or round_number == 0:
                runs[jobs].append(run := measure(jobs))
                print(f"{jobs} jobs: {run}", flush=True)
    results["cases"] = [{"jobs": jobs, "runs": runs[jobs], "summary": summary(runs[jobs])} for jobs in cases]
    options.output.write_bytes(orjson.dumps(results, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    sys.exit(any(run["faults"] for each in runs.values() for run in each))


if __name__ == "__main__":
    main()
