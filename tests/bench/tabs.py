"""Open tabs: what they cost the engine. The same changes of jobs, with no tab of the console open and with many, in turn.

One engine with its console serves all rounds, on one control plane. The tabs are spread over all pages that follow what happens,
and over people with all rights and people who may get jobs only. A pack is in Audit, so that this page has news too.
`python -m tests.bench.report` makes the table of docs/performance.md from the results.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from subprocess import Popen
from typing import Any

import orjson

from tests.bench import workload
from tests.bench.contestants import CONTESTANTS, alive, rest
from tests.bench.figures import spread
from tests.bench.machine import about
from tests.bench.processes import peak_memory_mb, waited_seconds
from tests.bench.steady import at_work, offer
from tests.bench.visitors import Tab, Visit, tabs, visiting
from tests.controlplane.binaries import programs
from tests.controlplane.gobuild import MissingProgram
from tests.controlplane.plane import ControlPlane
from tests.controlplane.processes import free_ports

RESULTS = Path(__file__).parent / "results/tabs.json"
AUDITED = "failure-notifications=Audit"
PATIENCE = 120.0
#: Seconds after which what tabs cost at their opening is over.
SETTLE = 4.0
FIGURES = ("cpu_ms_per_change", "latency_p50_ms", "latency_p99_ms", "waited_s")
#: Those of which there is a ratio of the rounds with tabs to those without.
COMPARED = ("cpu_ms_per_change", "latency_p99_ms")
RBAC = "/apis/rbac.authorization.k8s.io/v1"

Run = dict[str, Any]


def people(plane: ControlPlane) -> list[str]:
    """Tokens of two who may all, and of two who may get jobs where they are."""
    role = {"metadata": {"name": "reader"}, "rules": [
        {"apiGroups": [workload.GROUP], "resources": [workload.PLURAL], "verbs": ["get"]},
    ]}  # fmt: skip
    plane.ensure(f"{RBAC}/namespaces/{workload.NAMESPACE}/roles", role)
    plane.ensure(f"{RBAC}/namespaces/{workload.NAMESPACE}/rolebindings", {
        "metadata": {"name": "reader"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:serviceaccounts:readers"}],
    })  # fmt: skip
    return [plane.token_for(namespace, name) for namespace in (workload.NAMESPACE, "readers") for name in ("anna", "ben")]


class Rounds:
    """The changes of all rounds, one after the other, on one engine."""

    def __init__(self, plane: ControlPlane, engine: Popen[bytes], options: argparse.Namespace) -> None:
        self._plane, self._engine, self._options, self._first = plane, engine, options, 0

    def begin(self) -> None:
        """Change each job once, so that the console remembers as much as it ever will.

        Each half of a round has other jobs: packs that act once for a job have less to do at its later changes.
        """
        if self._first:
            workload.renew(self._plane, self._options.jobs)
            self._first = 0
        self._offer(self._options.jobs, "--in-flight", "16")

    def run(self, url: str, wanted: Sequence[Tab]) -> Run:
        """One round, with its `faults`: where it has any it is not counted."""
        try:
            if not wanted:
                return self._under_load([])
            with visiting(url, wanted) as visits:
                run = self._under_load(visits)
            faults = [visit.fault for visit in visits if visit.fault]
            return run | {"faults": [*run["faults"], *faults]}
        except (ChildProcessError, TimeoutError) as error:
            return {"faults": [str(error)]}

    def _under_load(self, visits: Sequence[Visit]) -> Run:
        time.sleep(SETTLE)
        before, waited = [(visit.news, visit.bytes) for visit in visits], waited_seconds(self._engine.pid)
        load = self._offer(round(self._options.rate * self._options.seconds), "--rate", str(self._options.rate))
        came: dict[str, dict[str, int]] = {}
        for visit, (news, size) in zip(visits, before, strict=True):
            page = came.setdefault(visit.page.partition("?")[0] or "overview", {"tabs": 0, "news": 0, "bytes": 0})
            for name, number in {"tabs": 1, "news": visit.news - news, "bytes": visit.bytes - size}.items():
                page[name] += number
        faults = [*load["failed_writes"], *workload.faults(self._plane.request("GET", workload.JOBS)["items"])[:3]]
        if load["unanswered_changes"]:
            faults.append(f"{load['unanswered_changes']} changes had no effect that the load could see")
        if visits and not all(came[page]["news"] for page in ("activity", "audit")):
            faults.append("pages on which something happened had no news")
        return {
            "cpu_ms_per_change": round(load["cpu_seconds"] * 1000 / load["changes"], 3),
            **{f"latency_{rank}_ms": load["latency_ms"][rank] for rank in ("p50", "p99", "max")},
            "waited_s": round(waited_seconds(self._engine.pid) - waited, 2),
            "peak_memory_mb": round(peak_memory_mb(self._engine.pid)), "came": came, "faults": faults,
        }  # fmt: skip

    def _offer(self, changes: int, *how: str) -> Run:
        numbers = ("--jobs", str(self._options.jobs), "--first", str(self._first), "--changes", str(changes))
        self._first += changes
        load = offer(self._engine.pid, self._plane, [*numbers, *how])
        alive(self._engine)
        rest(self._engine, PATIENCE)
        return load


def measure(plane: ControlPlane, options: argparse.Namespace) -> dict[str, list[Run]]:
    """All rounds without tabs and with them; which of the two comes first changes from round to round."""
    workload.install(plane, options.jobs)
    (port,) = free_ports(1)
    engine = replace(CONTESTANTS[0], command=(*CONTESTANTS[0].command, "--port", str(port), "--feature-flags", AUDITED))
    kubeconfig, wanted = plane.kubeconfig_for(workload.NAMESPACE, engine.name), tabs(options.tabs, people(plane))
    found: dict[str, list[Run]] = {"without": [], "with": []}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, engine.running(kubeconfig, Path(folder) / "log") as process:
        at_work(process, plane)
        rounds = Rounds(plane, process, options)
        for number in range(options.rounds):
            for name in sorted(found, reverse=number % 2 == 0):
                rounds.begin()
                run = rounds.run(f"https://127.0.0.1:{port}/console/", wanted if name == "with" else ())
                found[name].append(run)
                print(f"round {number + 1}, {name} tabs: {run}", flush=True)
    return found


def summary(runs: dict[str, list[Run]]) -> dict[str, dict[str, dict[str, float]]]:
    """Median and spread of each figure without tabs, with them, and of the ratios in each round; only of valid rounds."""
    pairs = [pair for pair in zip(runs["without"], runs["with"], strict=True) if not any(run["faults"] for run in pair)]
    if not pairs:
        return {}
    columns = zip(("without", "with"), zip(*pairs, strict=True), strict=True)
    found = {name: {figure: spread([run[figure] for run in column]) for figure in FIGURES} for name, column in columns}
    found["ratio"] = {figure: spread([round(b[figure] / a[figure], 3) for a, b in pairs]) for figure in COMPARED}
    return found


def main() -> None:
    """Measure, and write the results as JSON. Exits 1 where a round was invalid."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.tabs", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=1_000, help="how many there are (default %(default)s)")
    parser.add_argument("--rate", type=float, default=40.0, help="changes a second (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long a round is (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="without tabs, and as many with (default %(default)s)")
    parser.add_argument("--tabs", type=int, default=20, help="how many are open (default %(default)s)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="default: tests/bench/results/tabs.json")
    options = parser.parse_args()
    work = {name: getattr(options, name) for name in ("jobs", "rate", "seconds", "rounds", "tabs")}
    results = about("tests.bench.tabs") | work | {"audited": AUDITED}
    try:
        with ControlPlane(programs()) as plane:
            runs = measure(plane, options)
    except MissingProgram as missing:
        sys.exit(str(missing))
    results |= {"runs": runs, "summary": summary(runs)}
    options.output.write_bytes(orjson.dumps(results, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    sys.exit(any(run["faults"] for each in runs.values() for run in each))


if __name__ == "__main__":
    main()
