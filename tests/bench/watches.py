"""Many watches: what an engine costs that watches 8 kinds in each of many namespaces.

One process watches so many namespaces on a real kube-apiserver, acts in each of them once, and is then left alone. With
`--report` the results go into docs/scaling.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import yaml

from tests.bench import client, report, tables
from tests.bench.contestants import ROOT, alive
from tests.bench.figures import milliseconds
from tests.bench.heavy import HEARTBEAT, LOST
from tests.bench.machine import about
from tests.bench.processes import cpu_seconds, peak_memory_mb
from tests.controlplane.binaries import programs
from tests.controlplane.gobuild import MissingProgram
from tests.controlplane.plane import ControlPlane
from tests.controlplane.processes import die_with_parent

PAGE, RESULTS = ROOT / "docs/scaling.md", Path(__file__).parent / "results/watches.json"
KINDS: Mapping[str, str] = {
    "ConfigMap": "configmaps", "Secret": "secrets", "Service": "services", "Pod": "pods", "ServiceAccount": "serviceaccounts",
    "ResourceQuota": "resourcequotas", "LimitRange": "limitranges", "PersistentVolumeClaim": "persistentvolumeclaims",
}  # fmt: skip
MARK = "example.com/mark"
OWN = "bench"
#: Seconds for the start, seconds at rest, and changes that are timed.
PATIENCE, REST, CHANGES = 600.0, 90.0, 50

Run = dict[str, Any]


def pack(kind: str) -> Mapping[str, Any]:
    """A pack that marks each object of a kind of the group ''."""
    mark = {"annotate": {"annotations": {MARK: "${object.metadata.name}"}}}
    rule = {"name": "mark", "when": "object.metadata.name != 'kube-root-ca.crt'", "actions": [mark]}
    spec = {"description": f"Marks each {kind}.", "watch": {"apiVersion": "v1", "kind": kind}, "rules": [rule]}
    return {"apiVersion": "rules.mlops.dev/v1alpha1", "kind": "RulePack", "metadata": {"name": kind.lower()}, "spec": spec}


async def _create(plane: ControlPlane, names: Sequence[str]) -> None:
    async with client.connect(plane.kubeconfig, "bench-install") as session:
        for name in names:
            await client.send(session, "POST", "/api/v1/namespaces", {"metadata": {"name": name}})
            await client.send(session, "POST", f"/api/v1/namespaces/{name}/configmaps", {"metadata": {"name": "c"}})


def _unmarked(plane: ControlPlane) -> int:
    items = plane.request("GET", "/api/v1/configmaps?fieldSelector=metadata.name%3Dc")["items"]
    return sum(MARK not in item["metadata"].get("annotations", {}) for item in items)


async def _latencies(plane: ControlPlane, names: Sequence[str]) -> list[float]:
    """Seconds from the answer to a new object until its mark is there, one after the other in different namespaces."""
    found = []
    async with client.connect(plane.kubeconfig, "bench-load") as session:
        for name in names[:: max(1, len(names) // CHANGES)][:CHANGES]:
            path = f"/api/v1/namespaces/{name}/configmaps"
            await client.send(session, "POST", path, {"metadata": {"name": "later"}})
            began = time.perf_counter()
            while MARK not in (await client.get(session, f"{path}/later"))["metadata"].get("annotations", {}):
                await asyncio.sleep(0.005)
            found.append(time.perf_counter() - began)
    return found


def measure(plane: ControlPlane, count: int) -> Run:
    """One engine for so many namespaces, on a control plane of its own."""
    names = [f"team-{number:04}" for number in range(count)]
    asyncio.run(_create(plane, names))
    plane.ensure("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", {
        "metadata": {"name": "bench"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "engine", "namespace": OWN}],
    })  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log, pauses, rules = folder / "log", folder / "pauses", folder / "pack.yaml"
        rules.write_text(yaml.safe_dump_all([pack(kind) for kind in KINDS]))
        command = [
            sys.executable, str(HEARTBEAT), f"--kubeconfig={plane.kubeconfig_for(OWN, 'engine')}", f"--rules={rules}",
            f"--operator-namespace={OWN}", f"--output={pauses}", *(f"--namespace={each}" for each in names),
        ]  # fmt: skip
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call, which takes no lock that a thread might hold
            )  # fmt: skip
        try:
            began = time.monotonic()
            while left := _unmarked(plane):
                alive(process)
                if time.monotonic() - began > PATIENCE:
                    raise TimeoutError(f"{left} namespaces had not been acted in after {PATIENCE:.0f} s")
                time.sleep(0.5)
            started, used = time.monotonic() - began, cpu_seconds(process.pid)
            time.sleep(REST)
            rest = (cpu_seconds(process.pid) - used) / REST
            latencies = asyncio.run(_latencies(plane, names))
            alive(process)
            lost = [line for line in log.read_text().splitlines() if any(word in line for word in LOST)]
            return {
                "namespaces": count, "watches": count * len(KINDS), "start_s": round(started, 1), "start_cpu_s": round(used, 1),
                "rest_cpu_percent": round(rest * 100, 1), "peak_memory_mb": round(peak_memory_mb(process.pid)),
                "pause_cpu_ms": round(json.loads(pauses.read_text())["pause_cpu_s"] * 1000),
                "latency_ms": milliseconds(latencies), "faults": lost[:3],
            }  # fmt: skip
        except (ChildProcessError, TimeoutError) as error:
            return {"namespaces": count, "watches": count * len(KINDS), "faults": [f"{error}: {log.read_text()[-500:]}"]}
        finally:
            process.kill()
            process.wait()


def main() -> None:
    """Measure, and write the results as JSON, and the page where that is asked for. Exits 1 where a run was invalid."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.watches", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--namespaces", type=int, action="append", help="so many; may be repeated (default: 70, 250 and 500)")
    parser.add_argument("--report", action="store_true", help="write the table of docs/scaling.md")
    parser.add_argument("--output", type=Path, default=RESULTS, help="default: tests/bench/results/watches.json")
    options = parser.parse_args()
    results = about("tests.bench.watches") | {"runs": []}
    try:
        found = programs()
    except MissingProgram as missing:
        sys.exit(str(missing))
    for count in options.namespaces or (70, 250, 500):
        with ControlPlane(found) as plane:
            run = measure(plane, count)
        print(run, flush=True)
        results["runs"].append(run)
    options.output.write_bytes(orjson.dumps(results, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    if options.report:
        PAGE.write_text(report.replaced(PAGE.read_text(), "watches", tables.watches(results)))
    sys.exit(any(run["faults"] for run in results["runs"]))


if __name__ == "__main__":
    main()
