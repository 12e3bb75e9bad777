"""Changes at a steady rate: what each one costs the engine and its peers, and how soon its effect is there.

Every run has a new control plane, new jobs and a new process, so that all start from the same. The contestants take turns,
and each round begins with another one. `python -m tests.bench.report` makes the table of docs/performance.md from the results.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from tests.bench import workload
from tests.bench.contestants import CONTESTANTS, ROOT, Contestant, alive, rest
from tests.bench.figures import spread
from tests.bench.machine import machine, packs, versions
from tests.bench.processes import cpu_seconds, peak_memory_mb
from tests.controlplane.binaries import programs
from tests.controlplane.gobuild import MissingProgram, Programs
from tests.controlplane.plane import ControlPlane

RESULTS = Path(__file__).parent / "results/steady.json"
#: Seconds that a contestant may take to get to work, and then to come to rest.
PATIENCE = 60.0
#: Of a run, beside its latencies.
FIGURES = ("cpu_ms_per_change", "peak_memory_mb", "writes_per_change", "other_writes_per_change")

Run = dict[str, Any]


def measure(contestant: Contestant, found: Programs, options: argparse.Namespace) -> Run:
    """One run of one contestant, with its `faults`: a run that has any is not counted."""
    with ControlPlane(found) as plane, tempfile.TemporaryDirectory(prefix="bench-") as folder:
        workload.install(plane, options.jobs)
        kubeconfig = plane.kubeconfig_for(workload.NAMESPACE, contestant.name)
        log = Path(folder) / "log"
        with contestant.running(kubeconfig, log) as process:
            try:
                run = _under_load(contestant, process, plane, options)
            except (ChildProcessError, TimeoutError, subprocess.CalledProcessError) as error:
                return {"faults": [f"{error}; the end of its log: {log.read_text(errors='replace')[-2000:]}"]}
        return run


def _under_load(
    contestant: Contestant, process: subprocess.Popen[bytes], plane: ControlPlane, options: argparse.Namespace
) -> Run:
    started = time.monotonic()
    _await_canary(process, plane)
    ready = time.monotonic() - started
    rest(process, PATIENCE)
    start_cpu = cpu_seconds(process.pid)
    user = f"system:serviceaccount:{workload.NAMESPACE}:{contestant.name}"
    before = len(plane.writes(user=user))
    load = _offer(process.pid, plane, options)
    alive(process)
    writes = plane.writes(user=user)[before:]
    on_jobs = sum(workload.PLURAL in write for write in writes)
    changes = load["changes"]
    faults = [*load.pop("failed_writes"), *workload.faults(plane.request("GET", workload.JOBS)["items"])]
    return {
        "cpu_ms_per_change": round(load.pop("cpu_seconds") * 1000 / changes, 2),
        "peak_memory_mb": round(peak_memory_mb(process.pid)),
        "writes_per_change": round(on_jobs / changes, 3),
        "other_writes_per_change": round((len(writes) - on_jobs) / changes, 3),
        **load,
        "ready_s": round(ready, 1),
        "start_cpu_s": round(start_cpu, 2),
        "faults": faults[:5],
    }


def _await_canary(process: subprocess.Popen[bytes], plane: ControlPlane) -> None:
    deadline = time.monotonic() + PATIENCE
    while workload.faults([plane.request("GET", f"{workload.JOBS}/{workload.CANARY}")]):
        alive(process)
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {PATIENCE:.0f} s it had not annotated a job that succeeded before it was started")
        time.sleep(0.1)


def _offer(pid: int, plane: ControlPlane, options: argparse.Namespace) -> Run:
    command = [sys.executable, "-m", "tests.bench.load", "--kubeconfig", str(plane.kubeconfig), "--pid", str(pid)]
    command += ["--jobs", str(options.jobs), "--rate", str(options.rate), "--seconds", str(options.seconds)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    load: Run = orjson.loads(done.stdout)
    return load


def summary(runs: Sequence[Run]) -> dict[str, dict[str, float]]:
    """Median and spread of each figure over the runs without faults; empty where there is none."""
    counted = [run for run in runs if not run["faults"]]
    if not counted:
        return {}
    figures: dict[str, list[float]] = {name: [run[name] for run in counted] for name in FIGURES}
    for rank in ("p50", "p99", "max"):
        figures[f"latency_{rank}_ms"] = [run["latency_ms"][rank] for run in counted]
    return {name: spread(values) for name, values in figures.items()}


def measure_all(found: Programs, contestants: Sequence[Contestant], options: argparse.Namespace) -> dict[str, Any]:
    """Every contestant in every round, and what there is to know about how it was measured."""
    about: dict[str, Any] = {
        "taken": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "command": " ".join(["python -m tests.bench.steady", *sys.argv[1:]]),
        "machine": machine(),
        "versions": versions(),
        "packs": packs(),
        "work": {
            "jobs": options.jobs, "results_per_job": workload.RESULTS, "job_bytes": workload.job_bytes(),
            "rate": options.rate, "seconds": options.seconds, "rounds": options.rounds,
        },
    }  # fmt: skip
    runs: dict[str, list[Run]] = {contestant.name: [] for contestant in contestants}
    for round_number in range(options.rounds):
        first = round_number % len(contestants)
        for contestant in (*contestants[first:], *contestants[:first]):
            run = measure(contestant, found, options)
            runs[contestant.name].append(run)
            print(f"round {round_number + 1}, {contestant.label}: {_line(run)}", flush=True)
    about["contestants"] = [
        {
            "name": contestant.name, "label": contestant.label, "command": contestant.shown(),
            "summary": summary(runs[contestant.name]), "runs": runs[contestant.name],
        }
        for contestant in contestants
    ]  # fmt: skip
    return about


def _line(run: Run) -> str:
    if run["faults"]:
        return "INVALID: " + "; ".join(run["faults"])
    latency = run["latency_ms"]
    return (
        f"{run['cpu_ms_per_change']} ms CPU per change, p50 {latency['p50']} ms, p99 {latency['p99']} ms, "
        f"max {latency['max']} ms, {run['peak_memory_mb']} MB, "
        f"{run['writes_per_change']} + {run['other_writes_per_change']} writes per change"
    )


def main() -> None:
    """Measure, and write the results as JSON. Exits 1 where a run was invalid, 2 where the options cannot be used."""
    names = [contestant.name for contestant in CONTESTANTS]
    parser = argparse.ArgumentParser(prog="python -m tests.bench.steady", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=500, help="how many there are (default %(default)s)")
    parser.add_argument("--rate", type=float, default=40.0, help="changes offered a second (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long they are offered (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each contestant (default %(default)s)")
    parser.add_argument("--only", action="append", choices=names, help="measure this one; may be repeated (default: all)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="default: tests/bench/results/steady.json")
    options = parser.parse_args()
    if min(options.jobs, options.rate, options.seconds, options.rounds) <= 0:
        parser.error("--jobs, --rate, --seconds and --rounds must be more than 0")
    contestants = [contestant for contestant in CONTESTANTS if contestant.name in (options.only or names)]
    try:
        results = measure_all(programs(), contestants, options)
    except MissingProgram as missing:
        sys.exit(str(missing))
    options.output.write_bytes(orjson.dumps(results, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    sys.exit(any(run["faults"] for contestant in results["contestants"] for run in contestant["runs"]))


if __name__ == "__main__":
    main()
