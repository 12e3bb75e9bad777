"""Few objects that weigh much: peak memory, the longest pause of the event loop, and whether the Lease is kept.

With `--other CHECKOUT` the engine of another checkout runs in turn with this one's, on the same control plane.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import yaml

from tests.bench import client, workload
from tests.bench.contestants import ROOT, alive
from tests.bench.machine import about
from tests.bench.processes import cpu_seconds, peak_memory_mb
from tests.controlplane.binaries import programs
from tests.controlplane.gobuild import MissingProgram
from tests.controlplane.plane import ControlPlane
from tests.controlplane.processes import die_with_parent

RESULTS = Path(__file__).parent / "results/heavy.json"
SECRETS = f"/api/v1/namespaces/{workload.NAMESPACE}/secrets"
#: Seconds that the engine has for all objects, and that it is left alone afterwards.
PATIENCE, REST = 300.0, 5.0
HEARTBEAT = Path(__file__).parent / "heartbeat.py"
LOST = ("no longer leading", "was not renewed")

Run = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """Objects of `size` bytes in a collection, and the packs that annotate each of them, by the annotation `mark`."""

    name: str
    label: str
    path: str
    objects: int
    body: Callable[[int], Mapping[str, Any]]
    mark: str
    pack: Mapping[str, Any] | None = None
    """None: all that are shipped."""


def _secret(number: int) -> Mapping[str, Any]:
    data = {"blob": base64.b64encode(secrets.token_bytes(1_000_000)).decode()}
    return {"metadata": {"name": f"secret-{number:04}"}, "type": "Opaque", "data": data}


def _job(results: Sequence[Mapping[str, Any]]) -> Callable[[int], Mapping[str, Any]]:
    status = {"phase": "Failed", "completionTime": "2026-01-01T00:00:00Z", "message": "failed", "results": results}
    return lambda number: workload.job(number) | {"status": status}


def _pack(name: str, value: str, fields: Sequence[str]) -> Mapping[str, Any]:
    mark = {f"bench.example.com/{name}": value}
    rule = {"name": "mark", "when": "has(object.metadata.name)", "actions": [{"annotate": {"annotations": mark}}]}
    watch = {"apiVersion": "v1", "kind": "Secret", "fields": fields}
    spec = {"description": name, "watch": watch, "rules": [rule]}
    return {"apiVersion": "rules.mlops.dev/v1alpha1", "kind": "RulePack", "metadata": {"name": name}, "spec": spec}


def _cases() -> Sequence[Case]:
    text = [{"cellIndex": cell, "status": "Success", "output": f"{cell} " + "x" * 3000} for cell in range(395)]
    cells = [{"cellIndex": cell, "status": "Failure", "errorMessage": f"cell {cell} failed: {cell:0330}"} for cell in range(3000)]
    mark = "bench.example.com/{}".format
    return (
        Case("metadata", "500 Secrets of 1 MB, metadata read", SECRETS, 500, _secret, mark("metadata"),
             _pack("metadata", "${object.metadata.name}", ["metadata.labels"])),
        Case("hash", "500 Secrets of 1 MB, a hash of their data read", SECRETS, 500, _secret, mark("hash"),
             _pack("hash", "${hash(object.data.blob)}", ["data"])),
        Case("outputs", "100 jobs of 1.2 MB, long outputs, all packs", workload.JOBS, 100, _job(text), "mlops.dev/failure-time"),
        Case("cells", "100 jobs of 1.2 MB, 3,000 messages, all packs", workload.JOBS, 100, _job(cells), "mlops.dev/failure-time"),
    )  # fmt: skip


async def _create(plane: ControlPlane, case: Case) -> None:
    slots = asyncio.Semaphore(4)

    async def one(number: int) -> None:
        async with slots:
            body = dict(case.body(number))
            status = body.pop("status", None)
            await client.send(session, "POST", case.path, body)
            if status:
                await client.send(session, "PATCH", f"{case.path}/{body['metadata']['name']}/status", {"status": status})

    async with client.connect(plane.kubeconfig, "bench-install") as session, asyncio.TaskGroup() as group:
        for number in range(case.objects):
            group.create_task(one(number))


async def _without(plane: ControlPlane, case: Case) -> int:
    """How many objects are not annotated."""
    headers = {"Accept": client.METADATA_ONLY.format("PartialObjectMetadataList")}
    async with client.connect(plane.kubeconfig, "bench-look") as session:
        try:
            # from the server's cache: a read of all of it from etcd would be a load of its own
            items = (await client.get(session, f"{case.path}?resourceVersion=0", headers))["items"]
        except aiohttp.ClientError:  # the server has too much to do
            return case.objects
    metadata = [item["metadata"] for item in items if item["metadata"]["name"] != workload.CANARY]
    return sum(case.mark not in (meta.get("annotations") or {}) for meta in metadata)


@contextlib.contextmanager
def _running(
    plane: ControlPlane, case: Case, checkout: Path, folder: Path
) -> Iterator[tuple[subprocess.Popen[bytes], Path, Path]]:
    """The engine of a checkout, with its log and what its heart says."""
    rules, log, pauses = folder / "rules", folder / "log", folder / "pauses"
    if case.pack:
        rules.mkdir()
        (rules / "pack.yaml").write_text(yaml.safe_dump(case.pack))
    command = [
        sys.executable, str(HEARTBEAT), f"--kubeconfig={plane.kubeconfig_for(workload.NAMESPACE, 'engine')}",
        f"--rules={rules if case.pack else checkout / 'rules'}", f"--operator-namespace={workload.NAMESPACE}",
        f"--output={pauses}",
    ]  # fmt: skip
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env={"PYTHONPATH": str(checkout), "PATH": ""}, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call, which takes no lock that a thread might hold
        )  # fmt: skip
    try:
        yield process, log, pauses
    finally:
        process.terminate()  # so that the next one need not wait for its Lease
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def measure(plane: ControlPlane, case: Case, checkout: Path) -> Run:
    """One run on a control plane that has the objects, not annotated yet. Without `seconds` it did not come to its end."""
    with tempfile.TemporaryDirectory() as name, _running(plane, case, checkout, Path(name)) as (process, log, pauses):
        began, faults, took = time.monotonic(), list[str](), {}
        try:
            while left := asyncio.run(_without(plane, case)):
                alive(process)
                if time.monotonic() - began > PATIENCE:
                    raise TimeoutError(f"{left} objects were not annotated after {PATIENCE:.0f} s")
                time.sleep(1)
            took = {"seconds": round(time.monotonic() - began, 1)}
            time.sleep(REST)
            alive(process)
        except ChildProcessError as error:
            return {"faults": [f"{error}: {log.read_text()[-500:]}"]}
        except TimeoutError as error:
            faults.append(str(error))
        faults += [line for line in log.read_text().splitlines() if any(lost in line for lost in LOST)]
        pause = json.loads(pauses.read_text())
        return {
            "peak_memory_mb": round(peak_memory_mb(process.pid)), "cpu_s": round(cpu_seconds(process.pid), 1),
            "pause_ms": round(pause["pause_s"] * 1000), "pause_cpu_ms": round(pause["pause_cpu_s"] * 1000), **took,
            "faults": faults,
        }  # fmt: skip


async def _forget(plane: ControlPlane, case: Case) -> None:
    """Take the annotations away that the last run made."""
    headers = {"Accept": client.METADATA_ONLY.format("PartialObjectMetadataList")}
    async with client.connect(plane.kubeconfig, "bench-forget") as session:
        for item in (await client.get(session, case.path, headers))["items"]:
            own = {key: None for key in item["metadata"].get("annotations") or () if key != workload.SYNC_WAVE}
            await client.send(session, "PATCH", f"{case.path}/{item['metadata']['name']}", {"metadata": {"annotations": own}})
    plane.compact()  # so that etcd's file takes the next writes without growing


def main() -> None:
    """Measure, and write the results as JSON. Exits 1 where a run of this checkout's engine has faults."""
    cases = _cases()
    parser = argparse.ArgumentParser(prog="python -m tests.bench.heavy", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", action="append", choices=[case.name for case in cases], help="may be repeated (default: all)")
    parser.add_argument("--objects", type=int, help="so many objects of each case instead of all")
    parser.add_argument("--other", type=Path, help="another checkout, whose engine is measured too")
    parser.add_argument("--rounds", type=int, default=1, help="so many runs of each engine, in turn (default: 1)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="default: tests/bench/results/heavy.json")
    options = parser.parse_args()
    results = about("tests.bench.heavy") | {"cases": []}
    checkouts = {"": ROOT, **({"before": options.other.resolve()} if options.other else {})}
    try:
        found = programs()
    except MissingProgram as missing:
        sys.exit(str(missing))
    for case in cases:
        if case.name not in (options.only or [case.name]):
            continue
        if options.objects is not None:
            case = replace(case, objects=options.objects)  # noqa: PLW2901 - the same case with fewer objects
        with ControlPlane(found) as plane:
            workload.install(plane, 0)
            asyncio.run(_create(plane, case))
            runs: dict[str, list[Run]] = {name: [] for name in checkouts}
            for name, checkout in [*checkouts.items()] * options.rounds:
                runs[name].append(measure(plane, case, checkout))
                print(f"{case.name} {name}: {runs[name][-1]}", flush=True)
                asyncio.run(_forget(plane, case))
        results["cases"].append({"name": case.name, "label": case.label, "objects": case.objects, "runs": runs})
    options.output.write_bytes(orjson.dumps(results, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    sys.exit(any(run["faults"] for case in results["cases"] for run in case["runs"][""]))


if __name__ == "__main__":
    main()
