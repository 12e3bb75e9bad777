"""Jobs of many namespaces go through their phases while three engines share them, then two, then four.

One of the three is killed as they become two, and one of the two is stopped, and goes on when four others have taken over.

`python -m tests.chaos.shards --jobs 10032` is the long form. Each shard of each layout has a service account of its own, so
that the audit log says who has written what.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import click

from engine.kube.api import Selection
from engine.kube.kubernetes import KubernetesApi
from engine.model.objects import annotations_of, metadata
from engine.operator.shards import bucket
from tests.chaos.layout import JOBS, prepare
from tests.controlplane.binaries import programs
from tests.controlplane.plane import ControlPlane
from tests.controlplane.processes import Processes
from tests.e2e.cluster import eventually
from tests.e2e.engine import roles
from tests.served import Served
from tests.world import APPLICATION, EVENT, RULES, job, named

LAYOUTS = (3, 2, 4)
DEATHS = ("", "killed", "stopped")
"""What happens to the last shard of a layout when the next one comes, beside what a StatefulSet does to all others."""
NAMESPACES, GROUPS = 24, 8
AT_A_TIME = 20
PACK = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: shared}
spec:
  description: Notes the end of a job once, and on an Application how many of its jobs have ended.
  watch: {apiVersion: mlops.mlops.dev/v1alpha1, kind: NotebookValidationJob}
  targets: [{apiVersion: argoproj.io/v1alpha1, kind: Application, verbs: [get, list, patch], consent: 'true'}]
  rules:
    - name: note
      when: get(object, 'status.phase', '') == 'Succeeded'
      oncePer: object.metadata.uid
      actions:
        - emitEvent: {type: Normal, reason: Noted, message: 'noted ${object.metadata.name}'}
        - annotate: {annotations: {example.com/noted: 'true'}}
    - name: count
      aggregate:
        by: label(object, 'example.com/group')
        target: {apiVersion: argoproj.io/v1alpha1, kind: Application, namespace: HOME, name: '${groupKey}'}
        counts: {all: 'true', ended: "get(object, 'status.phase', '') == 'Succeeded'"}
      throttle: {every: 2s}
      actions:
        - annotate: {annotations: {example.com/ended: '${string(group.ended)}/${string(group.all)}'}}
"""


@dataclass(slots=True)
class Shards:
    """Engine processes of one layout after the other, with the rights of config/rbac."""

    plane: ControlPlane
    home: str
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="rulepack-shards-")))
    running: list[str] = field(default_factory=list)
    served: dict[str, Served] = field(default_factory=dict)
    processes: Processes = field(init=False)

    def __post_init__(self) -> None:
        self.processes = Processes(self.folder)
        (self.folder / "pack.yaml").write_text(PACK.replace("HOME", self.home))

    def start(self, name: str, *options: str) -> None:
        """Start one process with a service account of its own name."""
        kubeconfig = self.plane.kubeconfig_for(self.home, name)
        subject = {"kind": "ServiceAccount", "name": name, "namespace": self.home}
        for role in roles():
            kind, scope = role["kind"], f"/namespaces/{self.home}" if role["kind"] == "Role" else ""
            prefix, full = f"/apis/rbac.authorization.k8s.io/v1{scope}", f"{self.home}-{name}"
            self.plane.ensure(f"{prefix}/{kind.lower()}s", {"metadata": {"name": full}, "rules": role["rules"]})
            reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": full}
            binding = {"metadata": {"name": full}, "roleRef": reference, "subjects": [subject]}
            self.plane.ensure(f"{prefix}/{kind.lower()}bindings", binding)
        self.served[name] = Served.anywhere()
        command = [
            sys.executable, "-m", "engine.cli", "run", f"--kubeconfig={kubeconfig}", f"--operator-namespace={self.home}",
            f"--rules={self.folder / 'pack.yaml'}", *self.served[name].options, *options,
        ]  # fmt: skip
        self.processes.start(name, command, {**os.environ, "PYTHONPATH": str(RULES.parent)})
        self.running.append(name)

    def change(self, count: int, death: str) -> float:
        """Roll to another number of shards as a StatefulSet does, from the last; the seconds until all of them act."""
        begun = time.monotonic()
        old = {int(name.rpartition("-")[2]): name for name in self.running}
        last = old.pop(max(old)) if death else ""
        if death == "killed":
            self.processes.kill(last)
        elif death == "stopped":
            self.processes.send(last, signal.SIGSTOP)
        self.running = []
        at_once = not old
        for number in reversed(range(max([count, *(n + 1 for n in old)]))):
            if number in old:
                assert self.processes.terminate(old[number], 40) == 0, self.processes.end_of_log(old[number])
            if number < count:
                name = f"of-{count}-{number}"
                self.start(name, f"--shards={count}", f"--shard={number}", f"--watch-label-selector=run={self.home}")
                if not at_once:
                    self.ready(name)
        eventually(self.all_act, f"{count} shards that act")
        seconds = time.monotonic() - begun
        if death == "stopped":
            self.processes.send(last, signal.SIGCONT)
            eventually(lambda: self.acts(last) is False, f"{last} that knows that it must not act any more")
            assert self.processes.terminate(last, 40) == 0, self.processes.end_of_log(last)
        return seconds

    def ready(self, name: str) -> None:
        """Wait until a process knows the cluster, which it does before it acts."""
        eventually(lambda: self.ask(name, "/readyz") == "ok\n", f"shard {name} that is ready")

    def all_act(self) -> bool:
        """Whether every process that runs acts."""
        return all(self.acts(name) for name in self.running)

    def acts(self, name: str) -> bool | None:
        """Whether a process acts, by its own account; None where it does not answer."""
        answer: bool | None = json.loads(self.ask(name, "/packs") or "{}").get("leading")
        return answer

    def ask(self, name: str, path: str) -> str:
        """What a process answers, '' where it does not yet."""
        assert not self.processes.ended(), self.processes.end_of_log(self.processes.ended()[0])
        return self.served[name].ask(path, timeout=2)

    def close(self) -> None:
        """End all."""
        self.processes.kill_all()
        shutil.rmtree(self.folder, ignore_errors=True)


async def simulate(api: KubernetesApi, home: str, numbers: range, rate: float, parts: int = 1) -> None:
    """Take jobs from Pending to Succeeded, at most so many a second."""
    places = asyncio.Semaphore(AT_A_TIME)

    async def live(number: int) -> None:
        namespace, name = f"{home}-{number % NAMESPACES}", f"job-{number:05}"
        body = job(name, namespace=namespace)
        body["metadata"]["labels"] = {
            "run": home, "part": str(number % parts), "example.com/group": f"group-{number % GROUPS}"
        }  # fmt: skip
        await api.create(JOBS, namespace, body)
        for phase in ("Pending", "Running", "Succeeded"):
            status = {"phase": phase, **({"completionTime": _now()} if phase == "Succeeded" else {})}
            await api.patch(JOBS, namespace, name, {"status": status}, subresource="status")
        places.release()

    async with asyncio.TaskGroup() as lives:
        for number in numbers:
            await places.acquire()
            lives.create_task(live(number))
            await asyncio.sleep(1 / rate)


async def missing(api: KubernetesApi, home: str, jobs: int) -> list[str]:
    """What is not yet as it should be in the end, by the objects."""
    applications = (await api.list(Selection(await api.discover(APPLICATION), home))).items
    wrong = [
        f"{metadata(each)['name']}: {annotations_of(each).get('example.com/ended')}"
        for each in applications
        if annotations_of(each).get("example.com/ended") != f"{jobs // GROUPS}/{jobs // GROUPS}"
    ]
    return [*await _unnoted(api, home), *wrong]


async def _unnoted(api: KubernetesApi, home: str) -> list[str]:
    found = (await api.list(Selection(JOBS, "", f"run={home}"))).items
    return [str(metadata(each)["name"]) for each in found if annotations_of(each).get("example.com/noted") != "true"]


async def run(plane: ControlPlane, *, jobs: int, home: str = "shards", rate: float = 40.0) -> str:
    """Play it; says what came of it. Fails where an effect is lost or doubled, or an object has two owners."""
    assert jobs % (GROUPS * len(LAYOUTS) * 2) == 0, "as many jobs in each group, and in each part of the run"
    await asyncio.to_thread(prepare, plane, home, *(f"{home}-{number}" for number in range(NAMESPACES)))
    api, shards, report = await KubernetesApi.connect(str(plane.kubeconfig)), Shards(plane, home), []
    try:
        for number in range(GROUPS):
            source = {"repoURL": "https://example.com/models", "path": "."}
            spec = {"project": "default", "destination": {"server": "https://kubernetes.default.svc"}, "source": source}
            body = named(APPLICATION, f"group-{number}", home, spec=spec)
            await api.create(await api.discover(APPLICATION), home, body)
        half = jobs // len(LAYOUTS) // 2
        # half of the jobs run while the shards change, half after that
        for turn, (count, death) in enumerate(zip(LAYOUTS, DEATHS, strict=True)):
            begin = 2 * half * turn
            simulated = asyncio.create_task(simulate(api, home, range(begin, begin + half), rate))
            seconds = await asyncio.to_thread(shards.change, count, death)
            report.append(f"{count} shards act {seconds:.1f} s after {f'one was {death}' if death else 'the start'}")
            await simulated
            await simulate(api, home, range(begin + half, begin + 2 * half), rate)
        begun = time.monotonic()
        while still := await missing(api, home, jobs):
            assert time.monotonic() < begun + max(60.0, jobs / 20), f"{len(still)} still missing, such as {still[:5]}"
            await asyncio.sleep(0.5)
        events = [
            event["involvedObject"]["name"]
            for event in (await api.list(Selection(await api.discover(EVENT), ""))).items
            if event["reason"] == "Noted" and event["involvedObject"]["namespace"].startswith(f"{home}-")
        ]
        assert len(events) == len(set(events)) == jobs, f"{len(events)} Events of {len(set(events))} jobs"
        writes = check(plane, home, jobs)
    finally:
        await asyncio.to_thread(shards.close)
        await api.close()
    each = ", ".join(f"{user} {number}" for user, number in sorted(writes.items()))
    return f"{jobs} jobs in {NAMESPACES} namespaces: {'; '.join(report)}; effects lost: 0, doubled: 0; writes: {each}"


def check(plane: ControlPlane, home: str, jobs: int) -> Counter[str]:
    """By the audit log: each job is patched once, each object by one shard of a layout. The writes of each shard."""
    patched: Counter[str] = Counter()
    writers: dict[tuple[str, str], set[str]] = defaultdict(set)
    writes: Counter[str] = Counter()
    for count in LAYOUTS:
        for number in range(count):
            name = f"of-{count}-{number}"
            owns = any(bucket(f"{home}-{each}", count) == number for each in range(NAMESPACES))
            for write in plane.writes(user=f"system:serviceaccount:{home}:{name}"):
                path = write.partition(" ")[2].partition("?")[0]
                if "/leases" in path or "/rulepacks/" in path:  # each shard has a part of a pack's status
                    continue
                writes[name] += 1
                place = re.sub(r"/events$", "", path).removeprefix("/api/v1")
                writers[f"of {count}", place].add(name)
                if "/notebookvalidationjobs/" in path:
                    patched[path] += 1
                    assert bucket(path.split("/")[5], count) == number, f"{name} has written {path}"
            assert writes[name] or not owns, f"{name} has written nothing"
    shared = {place: names for place, names in writers.items() if len(names) > 1}
    assert not shared, f"written by two shards of one layout: {shared}"
    assert len(patched) == jobs and set(patched.values()) == {1}, f"jobs patched, by how often: {Counter(patched.values())}"
    return writes


async def by_label(plane: ControlPlane, *, jobs: int, home: str) -> None:
    """Two engines share jobs by a label. Fails where one is not noted once, by the engine that watches its label."""
    await asyncio.to_thread(prepare, plane, home, *(f"{home}-{number}" for number in range(NAMESPACES)))
    api, shards = await KubernetesApi.connect(str(plane.kubeconfig)), Shards(plane, home)
    try:
        for part in range(2):
            selector = f"--watch-label-selector=run={home},part={part}"
            await asyncio.to_thread(shards.start, f"part-{part}", f"--lease-name=rulepack-part-{part}", selector)
        await simulate(api, home, range(jobs), 40.0, parts=2)
        begun = time.monotonic()
        while unnoted := await _unnoted(api, home):
            assert time.monotonic() < begun + 60, f"not noted: {unnoted}"
            await asyncio.sleep(0.5)
    finally:
        await asyncio.to_thread(shards.close)
        await api.close()
    for part in range(2):
        writes = plane.writes(user=f"system:serviceaccount:{home}:part-{part}")
        patched = sorted(write.partition("?")[0].rpartition("-")[2] for write in writes if "/notebookvalidationjobs/" in write)
        assert patched == [f"{number:05}" for number in range(jobs) if number % 2 == part]


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@click.command()
@click.option("--jobs", default=10_032, show_default=True, help=f"How many; a multiple of {GROUPS * len(LAYOUTS) * 2}.")
@click.option("--rate", default=40.0, show_default=True, help="Jobs started in a second.")
def main(jobs: int, rate: float) -> None:
    """Share a cluster among three engines, then two, then four, while jobs run."""
    with ControlPlane(programs(print)) as plane:
        print(asyncio.run(run(plane, jobs=jobs, rate=rate)), flush=True)


if __name__ == "__main__":
    main()
