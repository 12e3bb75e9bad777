"""An API server on which every job has ended and is on record: what the engine meets when it starts again on a large cluster.

It speaks the protocol, so that the engine is measured as it is shipped: its process, its connections, its informers. A real
kube-apiserver would take an hour to fill with 50,000 jobs, and would share the cores with what is measured; this one makes
each page and each event from one job, and says how often it was asked to change anything. `POST /bench/relist` ends every
watch with 410. `POST /bench/come/5/20000` has 20,000 jobs more, named after their round 5, and `POST /bench/go/5/20000` deletes
them; one in FRESH of those is not on record, and has the same name in each round.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import time
from typing import Any

import orjson
from aiohttp import web

from engine.kube.embedded.patches import merge_patched
from tests.bench import workload
from tests.world import DONE, JOB, World, all_packs

NAME, UID = "job-00000", "00000000-0000-4000-8000-000000000000"
#: Of how many jobs that come one is not on record, so that the packs act on it.
FRESH = 20
SERVED = {
    "/api/v1": [("ConfigMap", "configmaps"), ("Event", "events"), ("Pod", "pods")],
    "/apis/coordination.k8s.io/v1": [("Lease", "leases")],
    "/apis/argoproj.io/v1alpha1": [("Application", "applications")],
    f"/apis/{workload.GROUP}/v1alpha1": [("NotebookValidationJob", workload.PLURAL)],
}


async def finished_job() -> bytes:
    """A job that has succeeded, with all that the shipped packs write on it, as JSON."""
    world = World(*all_packs())
    await world.create(workload.job(0, NAME) | {"status": workload.status() | {"phase": "Succeeded", "completionTime": DONE}})
    await world.settle()
    job = await world.get(JOB, NAME, workload.NAMESPACE)
    text = orjson.dumps(job)
    return text.replace(job["metadata"]["uid"].encode(), UID.encode())


class Finished:
    """The server's answers; `changes` counts what it was asked to change, the Lease left out."""

    def __init__(self, job: bytes, jobs: int) -> None:
        self.changes: list[str] = []
        self._job, self._jobs = job, jobs
        self._lease: Any = None
        self._listed_at: float | None = None
        self._lines = asyncio.Queue[bytes | None](100)
        """What the watch of jobs brings next; None ends it."""
        self._fresh: dict[str, dict[str, Any]] = {}
        self._versions = itertools.count(10)

    def application(self) -> web.Application:
        """The server."""
        app = web.Application(client_max_size=2**24)
        app.add_routes([web.get("/bench/changes", self._changes), web.post("/bench/relist", self._end_watches)])
        app.add_routes([web.post("/bench/{which:come|go}/{round:[0-9]+}/{jobs:[0-9]+}", self._churn)])
        app.add_routes([web.get(path, self._resources) for path in SERVED])
        app.add_routes([web.route("*", "/apis/coordination.k8s.io/{rest:.*}", self._leases)])
        app.add_routes([web.get("/{rest:.*}", self._read), web.route("*", "/{rest:.*}", self._change)])
        return app

    async def _changes(self, request: web.Request) -> web.Response:
        return web.json_response({"changes": self.changes, "listed_at": self._listed_at})

    async def _end_watches(self, request: web.Request) -> web.Response:
        gone = {"code": 410, "reason": "Expired", "message": "too old resource version"}
        await self._lines.put(_event("ERROR", orjson.dumps(gone)))
        await self._lines.put(None)
        return web.Response()

    async def _churn(self, request: web.Request) -> web.Response:
        """Have jobs come, or delete them; answered once the watch has taken all of them."""
        come = request.match_info["which"] == "come"
        first = (int(request.match_info["round"]) + 1) * 1_000_000
        for number in range(int(request.match_info["jobs"])):
            if number % FRESH:
                text = self._named(first + number)
            else:
                name = workload.job_name(1_000_000 + number)
                text = orjson.dumps(self._fresh_job(name, first + number) if come else self._fresh.pop(name))
            await self._lines.put(_event("ADDED" if come else "DELETED", text))
        return web.Response()

    def _fresh_job(self, name: str, number: int) -> dict[str, Any]:
        made = workload.job(number, name) | {"status": workload.status() | {"phase": "Succeeded", "completionTime": DONE}}
        made["metadata"] |= {"uid": _uid(number), "resourceVersion": str(next(self._versions))}
        self._fresh[name] = made
        return made

    async def _resources(self, request: web.Request) -> web.Response:
        return web.json_response(
            {"resources": [{"kind": kind, "name": name, "namespaced": True} for kind, name in SERVED[request.path]]}
        )

    async def _leases(self, request: web.Request) -> web.Response:
        if request.method == "GET" and self._lease is None:
            return web.json_response({"reason": "NotFound", "message": "no Lease yet"}, status=404)
        if request.method != "GET":
            self._lease = await request.json()
        return web.json_response(self._lease)

    async def _read(self, request: web.Request) -> web.StreamResponse:
        jobs = self._jobs if request.path.endswith(f"/{workload.PLURAL}") else 0
        return await (self._watch(request, jobs) if "watch" in request.query else self._list(request, jobs))

    async def _list(self, request: web.Request, jobs: int) -> web.Response:
        if jobs and self._listed_at is None:
            self._listed_at = time.time()
        start = int(request.query.get("continue", 0))
        end = min(jobs, start + int(request.query.get("limit", jobs)))
        meta = {"resourceVersion": "9", **({"continue": str(end)} if end < jobs else {})}
        items = b",".join(self._named(number) for number in range(start, end))
        return web.Response(body=b'{"metadata":%s,"items":[%s]}' % (orjson.dumps(meta), items), content_type="application/json")

    def _named(self, number: int) -> bytes:
        named = self._job.replace(NAME.encode(), workload.job_name(number).encode())
        return named.replace(UID.encode(), _uid(number).encode())

    async def _watch(self, request: web.Request, jobs: int) -> web.StreamResponse:
        """Nothing happens, until the watch ends; one of jobs may be ended with 410 before. A list is streamed where asked for."""
        answer = web.StreamResponse()
        await answer.prepare(request)
        if "sendInitialEvents" in request.query:
            for number in range(jobs):
                await answer.write(_event("ADDED", self._named(number)))
            end = {"resourceVersion": "9", "annotations": {"k8s.io/initial-events-end": "true"}}
            await answer.write(orjson.dumps({"type": "BOOKMARK", "object": {"metadata": end}}) + b"\n")
            return answer
        lines = self._lines if jobs else asyncio.Queue[bytes | None]()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(float(request.query["timeoutSeconds"])):
                while line := await lines.get():
                    await answer.write(line)
        return answer

    async def _change(self, request: web.Request) -> web.Response:
        self.changes.append(f"{request.method} {request.path}")
        body, name = await request.json(), request.path.rpartition("/")[2]
        if request.method != "PATCH" or name not in self._fresh:
            return web.json_response(body)
        changed = merge_patched(self._fresh[name], body)
        changed["metadata"]["resourceVersion"] = str(next(self._versions))
        self._fresh[name] = changed
        await self._lines.put(_event("MODIFIED", orjson.dumps(changed)))
        return web.json_response(changed)


def _event(type: str, text: bytes) -> bytes:
    return b'{"type":"%s","object":%s}\n' % (type.encode(), text)


def _uid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012}"


async def _serve(jobs: int) -> None:
    runner = web.AppRunner(Finished(await finished_job(), jobs).application(), shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """Serve until killed; the first line on the standard output is the port."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.finished", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--jobs", type=int, required=True)
    asyncio.run(_serve(parser.parse_args().jobs))


if __name__ == "__main__":
    main()
