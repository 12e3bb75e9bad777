"""Bursts: 500 changes within 5 s beside 20,000 jobs, and what of the lag is not the API server's. With standbys, if you like.

All contestants run in turn on one control plane, each on the jobs as the one before has left them. The lag of a change is
counted from the answer to the write of a status until a watch shows the annotation. The audit log of the API server divides it:
**own** is from that answer until the contestant's patch has come: the watch's delivery, its queue and its work. **patch**
is the time that the server takes for that patch, which waits for others' requests there. What of **own** is delivery is seen
by the load's own watch, and for how long the contestant was ready to run and had no core the kernel says.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from subprocess import Popen
from typing import Any

import orjson

from tests.bench import workload
from tests.bench.contestants import CONTESTANTS, Contestant, alive, rest
from tests.bench.figures import milliseconds, spread
from tests.bench.machine import about
from tests.bench.processes import cpu_seconds, peak_memory_mb, waited_seconds
from tests.bench.steady import offer
from tests.controlplane.binaries import programs
from tests.controlplane.gobuild import MissingProgram
from tests.controlplane.plane import ControlPlane

RESULTS = Path(__file__).parent / "results/burst.json"
PATIENCE = 180.0
#: Seconds for which a contestant, and its standbys, are left alone.
REST = 20.0
NAMES = ("engine", "engine-waves", "go")

Run = dict[str, Any]


def measure(plane: ControlPlane, contestant: Contestant, first: int, options: argparse.Namespace) -> Run:
    """One run of a contestant: its start, a rest and a burst, the first change of which has the number `first`."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, contextlib.ExitStack() as stack:
        kubeconfig = plane.kubeconfig_for(workload.NAMESPACE, contestant.name)
        try:
            leader = stack.enter_context(contestant.running(kubeconfig, Path(folder) / "log"))
            rest(leader, PATIENCE)
            standbys = [
                stack.enter_context(contestant.running(kubeconfig, Path(folder) / f"log-{number}"))
                for number in range(options.standbys if contestant.name == "engine" else 0)
            ]
            for standby in standbys:
                rest(standby, PATIENCE)
            processes = [leader, *standbys]
            resting = list(_used(processes, lambda: time.sleep(REST)))
            size, line = plane.audit_log.stat().st_size, list[Run]()
            load = [
                "--jobs",
                str(options.jobs),
                "--first",
                str(first),
                "--changes",
                str(options.changes),
                "--rate",
                str(options.rate),
            ]
            bursting = list(_used(processes, lambda: line.append(offer(leader.pid, plane, load))))
            found = line[0]
            alive(leader)
        except (ChildProcessError, TimeoutError) as error:
            return {"faults": [f"{error}: {(Path(folder) / 'log').read_text()[-500:]}"]}
        user = f"system:serviceaccount:{workload.NAMESPACE}:{contestant.name}"
        own, patch = divided(_audited(plane.audit_log, size), user)
        faults = list(found["failed_writes"])
        if found["unanswered_changes"]:
            faults.append(f"{found['unanswered_changes']} changes had no effect that the load could see")
        return {
            "lag_ms": found["latency_ms"], "delivery_ms": found["delivery_ms"],
            "own_ms": milliseconds(own), "patch_ms": milliseconds(patch),
            "status_write_ms": found["status_write_ms"],
            "cpu_ms_per_change": round(found["cpu_seconds"] * 1000 / options.changes, 2),
            "processes": [
                {"peak_memory_mb": round(peak_memory_mb(process.pid)), "rest_cpu_percent": round(idle / REST * 100, 1),
                 "burst_cpu_s": round(busy, 2), "burst_waited_s": round(waited, 2)}
                for process, (idle, _), (busy, waited) in zip(processes, resting, bursting, strict=True)
            ],
            "faults": faults,
        }  # fmt: skip


def _used(processes: Sequence[Popen[bytes]], do: Any) -> Iterator[tuple[float, float]]:
    """Seconds of CPU that each of some processes has used while something was done, and for which it waited for a core."""
    before = [(cpu_seconds(process.pid), waited_seconds(process.pid)) for process in processes]
    do()
    for process, (used, waited) in zip(processes, before, strict=True):
        yield cpu_seconds(process.pid) - used, waited_seconds(process.pid) - waited


def _audited(log: Path, offset: int) -> list[dict[str, Any]]:
    """The lines of an audit log from an offset in bytes on."""
    with log.open("rb") as file:
        file.seek(offset)
        return [json.loads(line) for line in file if line.endswith(b"\n")]


def divided(events: Sequence[dict[str, Any]], user: str) -> tuple[list[float], list[float]]:
    """For each change of a job's status, the seconds until a user's first patch of that job has come, and that patch took."""
    own, patch = list[float](), list[float]()
    changed: dict[str, datetime] = {}
    for event in sorted(events, key=lambda event: event["stageTimestamp"]):
        about = event.get("objectRef", {})
        if event["stage"] != "ResponseComplete" or event["verb"] != "patch" or about.get("resource") != workload.PLURAL:
            continue
        received, answered = (datetime.fromisoformat(event[name]) for name in ("requestReceivedTimestamp", "stageTimestamp"))
        if about.get("subresource") == "status":
            changed[about["name"]] = answered
        elif event["user"]["username"] == user and (since := changed.pop(about["name"], None)):
            own.append((received - since).total_seconds())
            patch.append((answered - received).total_seconds())
    return own, patch


def main() -> None:
    """Measure, and write the results as JSON. Exits 1 where a run was invalid."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.burst", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=20_000, help="how many there are (default %(default)s)")
    parser.add_argument("--changes", type=int, default=500, help="how many change (default %(default)s)")
    parser.add_argument("--rate", type=float, default=100.0, help="so many a second (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="bursts of each contestant, in turn (default %(default)s)")
    parser.add_argument("--standbys", type=int, default=2, help="of the engine with all packs (default %(default)s)")
    parser.add_argument("--only", action="append", choices=NAMES, help="measure this one; may be repeated (default: all)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="default: tests/bench/results/burst.json")
    options = parser.parse_args()
    contestants = [each for each in CONTESTANTS if each.name in (options.only or NAMES)]
    results = about("tests.bench.burst") | {"jobs": options.jobs, "changes": options.changes, "rate": options.rate}
    try:
        found = programs()
    except MissingProgram as missing:
        sys.exit(str(missing))
    runs: dict[str, list[Run]] = {each.name: [] for each in contestants}
    for contestant in contestants:
        contestant.prepare()
    with ControlPlane(found) as plane:
        workload.install(plane, options.jobs)
        for number, contestant in enumerate([*contestants] * options.rounds):
            runs[contestant.name].append(measure(plane, contestant, number * options.changes, options))
            print(contestant.label, runs[contestant.name][-1], flush=True)
    results["contestants"] = [
        {"name": each.name, "label": each.label, "summary": summary(runs[each.name]), "runs": runs[each.name]}
        for each in contestants
    ]
    options.output.write_bytes(orjson.dumps(results, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    sys.exit(any(run["faults"] for each in runs.values() for run in each))


def summary(runs: Sequence[Run]) -> dict[str, dict[str, float]]:
    """Median and spread of each figure over the runs without faults; empty where there is none."""
    counted = [run for run in runs if not run["faults"]]
    if not counted:
        return {}
    found = {
        f"{part}_{rank}_ms": spread([run[f"{part}_ms"][rank] for run in counted])
        for part in ("lag", "delivery", "own", "patch", "status_write") for rank in ("p50", "p99")
    }  # fmt: skip
    found["cpu_ms_per_change"] = spread([run["cpu_ms_per_change"] for run in counted])
    for number in range(len(counted[0]["processes"])):
        for figure in ("peak_memory_mb", "rest_cpu_percent", "burst_cpu_s", "burst_waited_s"):
            found[f"{figure}_{number}"] = spread([run["processes"][number][figure] for run in counted])
    return found


if __name__ == "__main__":
    main()
