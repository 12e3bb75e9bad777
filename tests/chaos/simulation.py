"""Who else is busy in a cluster while the engine is killed: the jobs' operator, the pods' ReplicaSets, Argo CD, and users."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from datetime import UTC, datetime
from random import Random
from typing import Any

from engine.errors import ApiError
from engine.kube.api import Selection, WatchEvent
from engine.kube.kubernetes import KubernetesApi
from engine.model.objects import Object, Resource, dig, kind_of, metadata
from tests.chaos.layout import JOBS, Layout
from tests.chaos.ledger import Ledger, Run
from tests.world import APPLICATION, DEPLOYMENT, EVENT, JOB, POD, SERVICE, job, pod, trigger, triggers

AT_A_TIME = 40
"""How many jobs are under way at the same time."""
REPLICAS = 2
HELD = 0.3
"""Seconds that a step of a job, of a pod or of a sync takes at most."""


class Simulation:
    """Simulates all of them, on one connection of an administrator. What it sees and does goes into the ledger."""

    def __init__(self, api: KubernetesApi, layout: Layout, ledger: Ledger, random: Random) -> None:
        self._api, self._layout, self._ledger, self._random = api, layout, ledger, random
        self._names = itertools.count()

    async def create_targets(self) -> None:
        """Create what the jobs' triggers are about: services with their pods, Deployments, and Applications."""
        for number in range(self._layout.groups):
            for obj in self._layout.objects(number):
                await self._write(self._api.create, *await self._collection(obj), obj)
            for _ in range(REPLICAS):
                await self._new_pod(f"model-{number}")

    async def run(self, jobs: int, per_second: float) -> None:
        """Take that many jobs, or fewer where that is enough, to their ends, as they become due; the others go on."""
        controllers: list[Coroutine[Any, Any, None]] = [self._replica_sets(), self._argo_cd(), self._deployments()]
        running = [asyncio.create_task(part) for part in controllers]
        try:
            await self._job_operator(jobs, per_second)
            self._ledger.all_ended = True
            await asyncio.gather(*running)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _job_operator(self, jobs: int, per_second: float) -> None:
        places = asyncio.Semaphore(AT_A_TIME)
        async with asyncio.TaskGroup() as lives:
            for number in range(jobs):
                await places.acquire()
                while number >= self._ledger.due and not self._ledger.enough:
                    await asyncio.sleep(0.05)
                if self._ledger.enough:
                    break
                life = lives.create_task(self._life(f"train-{number:04}", Random(self._random.random())))
                life.add_done_callback(lambda _: places.release())
                await asyncio.sleep(1 / per_second)

    async def _life(self, name: str, random: Random) -> None:
        """One job from its creation to its end; one in twenty is then deleted and made anew, as a new run is."""
        await self._run(name, random, "Failed" if random.random() < 0.15 else "Succeeded")
        if self._ledger.runs[name].phase == "Succeeded" and random.random() < 0.05:
            await asyncio.sleep(random.uniform(0, 3))
            await self._write(self._api.delete, JOBS, self._layout.namespace, name)
            await self._run(name, random, "Succeeded")
        run = self._ledger.runs[name]
        if run.phase == "Succeeded" and random.random() < 0.1:  # somebody adds a trigger when it is all over
            await asyncio.sleep(random.uniform(0, 3))
            run.workload = True
            await self._change(name, {"metadata": {"annotations": self._triggers(run)}})

    async def _run(self, name: str, random: Random, ending: str) -> None:
        run = Run(name, random.randrange(self._layout.groups), str(random.randrange(5)), workload=random.random() < 0.3)
        notes = {"argocd.argoproj.io/sync-wave": run.wave, "argocd.argoproj.io/tracking-id": self._layout.tracking_id(run)}
        body = job(name, annotations={**notes, **self._triggers(run)}, namespace=self._layout.namespace)
        made = await self._write(self._api.create, JOBS, self._layout.namespace, body)
        run.uid = str(metadata(made)["uid"])
        self._ledger.runs[name] = run
        for phase in ("Pending", "Running"):
            await asyncio.sleep(random.uniform(0, HELD))
            await self._status(name, {"phase": phase, "startTime": _now()})
        await asyncio.sleep(random.uniform(0, HELD))
        completion = _now()
        self._ledger.ends(run, ending, completion)  # before anybody can act on it
        await self._status(name, {"phase": ending, "completionTime": completion, "message": "KeyError: 'x'"})

    def _triggers(self, run: Run) -> dict[str, str]:
        wanted = [
            trigger(SERVICE, run.service, "restart"),
            trigger(APPLICATION, run.consumer, "sync", self._layout.argocd),
        ]
        if run.workload:
            wanted.append(trigger(DEPLOYMENT, run.deployment, "restart"))
        return triggers(*wanted)

    async def _change(self, name: str, body: Object) -> None:
        await self._write(self._api.patch, JOBS, self._layout.namespace, name, body)

    async def _status(self, name: str, status: Object) -> None:
        await self._write(self._api.patch, JOBS, self._layout.namespace, name, {"status": status}, subresource="status")

    async def _replica_sets(self) -> None:
        """Each service has its pods: one that is gone is replaced, and the new one is Ready after a while.

        The API server removes a pod in two writes. Where whoever asked dies in between, the second one is left to the
        kubelet or, for a pod on no node, to the pod garbage collector (kubernetes: pkg/controller/podgc): simulated here too.
        """
        resource = await self._api.discover(POD)
        async with asyncio.TaskGroup() as starting:
            async for event in self._changes(Selection(resource, self._layout.namespace)):
                meta = metadata(event.object)
                if event.type == "DELETED":
                    service = str(meta["labels"]["serving.kserve.io/inferenceservice"])
                    self._ledger.pod_gone(service, event.object)
                    starting.create_task(self._new_pod(service, self._random.uniform(0, HELD)))
                elif meta.get("deletionTimestamp"):
                    starting.create_task(self._collect(resource, str(meta["name"]), str(meta["uid"])))

    async def _collect(self, resource: Resource, name: str, uid: str) -> None:
        """Remove a pod that is still terminating after a while."""
        await asyncio.sleep(1)
        try:
            await self._api.delete(resource, self._layout.namespace, name, uid=uid)
        except ApiError as error:
            if error.status not in (0, 404, 409, 429) and error.status < 500:
                raise

    async def _new_pod(self, service: str, pause: float = 0.0) -> None:
        await asyncio.sleep(pause)
        body = pod(f"{service}-{next(self._names)}", service, namespace=self._layout.namespace)
        resource = await self._api.discover(POD)
        await self._write(self._api.create, resource, self._layout.namespace, body)
        await asyncio.sleep(pause)
        name = str(body["metadata"]["name"])
        self._ledger.pod_ready(service, name)
        status = {"status": body["status"]}
        await self._write(self._api.patch, resource, self._layout.namespace, name, status, subresource="status")

    async def _argo_cd(self) -> None:
        """Take each operation up at once, and end it after a while; each is counted by what caused it."""
        resource = await self._api.discover(APPLICATION)
        async with asyncio.TaskGroup() as syncing:
            async for event in self._changes(Selection(resource, self._layout.argocd)):
                operation = event.object.get("operation")
                if event.type != "DELETED" and operation and await self._take_up(resource, event.object):
                    self._ledger.synced(str(metadata(event.object)["name"]), operation)
                    syncing.create_task(self._sync(resource, event.object, self._random.uniform(0, HELD)))

    async def _take_up(self, resource: Resource, application: Object) -> bool:
        """As Argo CD does: the operation moves into the status, in one write that fails where something else has changed."""
        seen = {"resourceVersion": metadata(application)["resourceVersion"]}
        state = {"phase": "Running", "operation": application["operation"], "startedAt": _now(), "message": ""}
        body = {"metadata": seen, "operation": None, "status": {"operationState": state}}
        try:
            await self._api.patch(resource, self._layout.argocd, str(metadata(application)["name"]), body)
        except ApiError as error:
            return error.status == 0 and await self._taken(resource, application)
        return True

    async def _taken(self, resource: Resource, application: Object) -> bool:
        """Whether a write whose answer was lost has had its effect. Otherwise the watch brings what has changed."""
        found = await self._write(self._api.get, resource, self._layout.argocd, str(metadata(application)["name"]))
        return "operation" not in found and dig(found, ("status", "operationState", "phase")) == "Running"

    async def _sync(self, resource: Resource, application: Object, seconds: float) -> None:
        await asyncio.sleep(seconds)
        body = {"status": {"operationState": {"phase": "Succeeded", "finishedAt": _now()}}}
        await self._write(self._api.patch, resource, self._layout.argocd, str(metadata(application)["name"]), body)

    async def _deployments(self) -> None:
        """Note each rollout that somebody causes."""
        async for event in self._changes(Selection(await self._api.discover(DEPLOYMENT), self._layout.namespace)):
            self._ledger.rolled_out(event.object)

    async def _changes(self, selection: Selection) -> AsyncIterator[WatchEvent]:
        """Everything there is, then every change of it, for ever; nothing is left out where a watch breaks or cannot go on."""
        known: dict[str, Object] = {}
        while True:
            try:
                page = await self._api.list(selection)
                items = {str(metadata(item)["uid"]): item for item in page.items}
                events = [WatchEvent("DELETED", gone) for uid, gone in known.items() if uid not in items]
                events += [WatchEvent("MODIFIED", item) for item in items.values()]
                version = page.resource_version
                while True:
                    for event in events:
                        yield event
                    known, events = items, []
                    async for event in self._api.watch(selection, version):
                        version = str(metadata(event.object)["resourceVersion"])
                        if event.type == "BOOKMARK":
                            continue
                        uid = str(metadata(event.object)["uid"])
                        if event.type == "DELETED":
                            items.pop(uid, None)
                        else:
                            items[uid] = event.object
                        yield event
            except ApiError:
                await asyncio.sleep(0.2)

    async def _write(self, call: Callable[..., Awaitable[Any]], *args: Any, **options: Any) -> Any:
        """Ask until the API server answers; what is there already is fetched, and what is gone is left."""
        while True:
            try:
                return await call(*args, **options)
            except ApiError as error:
                if error.status == 404:
                    return None
                if error.reason == "AlreadyExists":
                    resource, namespace, body = args
                    return await self._api.get(resource, namespace, str(metadata(body)["name"]))
                if error.status not in (0, 401, 409, 429) and error.status < 500:
                    raise
                await asyncio.sleep(0.2)

    async def _collection(self, obj: Object) -> tuple[Resource, str]:
        return await self._api.discover(kind_of(obj)), str(metadata(obj)["namespace"])

    async def found(self) -> dict[str, list[Object]]:
        """All that the check reads, by plural."""
        kinds = ((JOB, self._layout.namespace), (POD, self._layout.namespace), (APPLICATION, self._layout.argocd))
        more = ((EVENT, self._layout.namespace), (DEPLOYMENT, self._layout.namespace))
        found = {
            kind.kind: list((await self._api.list(Selection(await self._api.discover(kind), namespace))).items)
            for kind, namespace in (*kinds, *more)
        }
        events = await self._api.list(Selection(await self._api.discover(EVENT), self._layout.argocd))
        found["Event"] += events.items
        return found


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
