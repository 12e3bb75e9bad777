"""Changes at a steady rate, then as fast as the server takes them: what each costs, and how soon it is done.

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
from pathlib import Path
from typing import Any

import orjson

from tests.bench import workload
from tests.bench.contestants import CONTESTANTS, ROOT, Contestant, alive, rest
from tests.bench.figures import spread
from tests.bench.machine import about, packs
from tests.bench.processes import cpu_seconds, peak_memory_mb
from tests.controlplane.binaries import programs
from tests.controlplane.gobuild import MissingProgram, Programs
from tests.controlplane.plane import ControlPlane

RESULTS = Path(__file__).parent / "results/steady.json"
#: Seconds that a contestant may take to get to work, and then to come to rest.
PATIENCE = 60.0
#: How changes are offered: at a rate, and then, by the same process once it rests, one of each job as fast as it can be.
PHASES = ("steady", "rush")
#: Of each of the two in a run, beside its latencies.
FIGURES = (
    "cpu_ms_per_change", "peak_memory_mb", "writes_per_change", "other_writes_per_change", "taken_per_second", "done_per_second",
)  # fmt: skip

Run = dict[str, Any]


def measure(contestant: Contestant, found: Programs, options: argparse.Namespace) -> Run:
    """One run of one contestant, with its `faults`: a run that has any is not counted."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        log = Path(folder) / "log"
        try:
            with ControlPlane(found) as plane:
                workload.install(plane, options.jobs)
                kubeconfig = plane.kubeconfig_for(workload.NAMESPACE, contestant.name)
                with contestant.running(kubeconfig, log) as process:
                    return _under_load(contestant, process, plane, options)
        except Exception as error:  # whatever it is, the others are measured
            said = log.read_text(errors="replace")[-500:] if log.exists() else ""
            fault = f"{type(error).__name__}: {error}; the end of its log: {said}"
            return {"faults": [fault.replace(str(ROOT), ".")]}


def _under_load(
    contestant: Contestant, process: subprocess.Popen[bytes], plane: ControlPlane, options: argparse.Namespace
) -> Run:
    started = time.monotonic()
    at_work(process, plane)
    run: Run = {"start_s": round(time.monotonic() - started, 1), "start_cpu_s": round(cpu_seconds(process.pid), 2)}
    user = f"system:serviceaccount:{workload.NAMESPACE}:{contestant.name}"
    paced = round(options.rate * options.seconds)
    offers = (["--first", "0", "--changes", str(paced), "--rate", str(options.rate)],
              ["--first", str(paced), "--changes", str(options.jobs), "--in-flight", str(options.in_flight)])  # fmt: skip
    faults: list[str] = []
    for phase, arguments in zip(PHASES, offers, strict=True):
        before = len(plane.writes(user=user))
        load = offer(process.pid, plane, ["--jobs", str(options.jobs), *arguments])
        alive(process)
        faults += [f"{phase}: {fault}" for fault in load.pop("failed_writes")]
        if load["unanswered_changes"]:
            faults.append(f"{phase}: {load['unanswered_changes']} changes had no effect that the load could see")
        faults += [f"{phase}: {fault}" for fault in workload.faults(plane.request("GET", workload.JOBS)["items"])]
        memory = round(peak_memory_mb(process.pid))
        run[phase] = {"peak_memory_mb": memory, **_per_change(load, plane.writes(user=user)[before:])}
        rest(process, PATIENCE)
    return run | {"faults": faults[:5]}


def _per_change(load: Run, writes: Sequence[str]) -> Run:
    on_jobs, changes = sum(workload.PLURAL in write for write in writes), load["changes"]
    return {
        "cpu_ms_per_change": round(load.pop("cpu_seconds") * 1000 / changes, 2),
        "writes_per_change": round(on_jobs / changes, 3),
        "other_writes_per_change": round((len(writes) - on_jobs) / changes, 3),
        **load,
    }


def at_work(process: subprocess.Popen[bytes], plane: ControlPlane) -> None:
    """Return when a contestant has annotated the canary and then came to rest. Raises TimeoutError, or ChildProcessError."""
    deadline = time.monotonic() + PATIENCE
    while workload.faults([plane.request("GET", f"{workload.JOBS}/{workload.CANARY}")]):
        alive(process)
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {PATIENCE:.0f} s it had not annotated a job that succeeded before it was started")
        time.sleep(0.1)
    rest(process, PATIENCE)


def offer(pid: int, plane: ControlPlane, arguments: Sequence[str]) -> Run:
    """What tests.bench.load says of a load with these arguments. Raises CalledProcessError."""
    command = [sys.executable, "-m", "tests.bench.load", "--kubeconfig", str(plane.kubeconfig), "--pid", str(pid), *arguments]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    load: Run = orjson.loads(done.stdout)
    return load


def summary(runs: Sequence[Run], phase: str) -> dict[str, dict[str, float]]:
    """Median and spread of each figure of a phase over the runs without faults; empty where there is none."""
    counted = [run[phase] for run in runs if not run["faults"]]
    if not counted:
        return {}
    figures: dict[str, list[float]] = {name: [load[name] for load in counted] for name in FIGURES}
    for rank in ("p50", "p99", "max"):
        figures[f"latency_{rank}_ms"] = [load["latency_ms"][rank] for load in counted]
    return {name: spread(values) for name, values in figures.items()}


def measure_all(found: Programs, contestants: Sequence[Contestant], options: argparse.Namespace) -> dict[str, Any]:
    """Every contestant in every round, and what there is to know about how it was measured."""
    results = about("tests.bench.steady") | {
        "packs": packs(),
        "work": {
            "jobs": options.jobs, "results_per_job": workload.RESULTS, "job_bytes": workload.job_bytes(), "rate": options.rate,
            "seconds": options.seconds, "in_flight": options.in_flight, "rounds": options.rounds,
        },
    }  # fmt: skip
    for contestant in contestants:
        contestant.prepare()
    runs: dict[str, list[Run]] = {contestant.name: [] for contestant in contestants}
    for round_number in range(options.rounds):
        first = round_number % len(contestants)
        for contestant in (*contestants[first:], *contestants[:first]):
            run = measure(contestant, found, options)
            runs[contestant.name].append(run)
            print(f"round {round_number + 1}, {contestant.label}: {_line(run)}", flush=True)
    results["contestants"] = [
        {
            "name": contestant.name, "label": contestant.label, "command": contestant.shown(),
            "summary": {phase: summary(runs[contestant.name], phase) for phase in PHASES}, "runs": runs[contestant.name],
        }
        for contestant in contestants
    ]  # fmt: skip
    return results


def _line(run: Run) -> str:
    if run["faults"]:
        return "INVALID: " + "; ".join(run["faults"])
    return "; ".join(f"{phase}: {_phase_line(run[phase])}" for phase in PHASES)


def _phase_line(load: Run) -> str:
    latency = load["latency_ms"]
    return (
        f"{load['done_per_second']} changes/s, {load['cpu_ms_per_change']} ms CPU per change, p50 {latency['p50']} ms, "
        f"p99 {latency['p99']} ms, max {latency['max']} ms, {load['peak_memory_mb']} MB, "
        f"{load['writes_per_change']} + {load['other_writes_per_change']} writes per change"
    )


def main() -> None:
    """Measure, and write the results as JSON. Exits 1 where a run was invalid, 2 where the options cannot be used."""
    names = [contestant.name for contestant in CONTESTANTS]
    parser = argparse.ArgumentParser(prog="python -m tests.bench.steady", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=2000, help="how many there are (default %(default)s)")
    parser.add_argument("--rate", type=float, default=40.0, help="changes offered a second (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=25.0, help="how long they are offered (default %(default)s)")
    parser.add_argument("--in-flight", type=int, default=32, help="changes under way when there is no rate (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each contestant (default %(default)s)")
    parser.add_argument("--only", action="append", choices=names, help="measure this one; may be repeated (default: all)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="default: tests/bench/results/steady.json")
    options = parser.parse_args()
    if min(options.jobs, options.rate, options.seconds, options.in_flight, options.rounds) <= 0:
        parser.error("--jobs, --rate, --seconds, --in-flight and --rounds must be more than 0")
    contestants = [contestant for contestant in CONTESTANTS if contestant.name in (options.only or names)]
    try:
        results = measure_all(programs(), contestants, options)
    except MissingProgram as missing:
        sys.exit(str(missing))
    options.output.write_bytes(orjson.dumps(results, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    sys.exit(any(run["faults"] for contestant in results["contestants"] for run in contestant["runs"]))


if __name__ == "__main__":
    main()
