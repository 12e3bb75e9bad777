"""An API server on which every job has ended and is on record: what the engine meets when it starts again on a large cluster.

It speaks the protocol, so that the engine is measured as it is shipped: its process, its connections, its informers. A real
kube-apiserver would take an hour to fill with 50,000 jobs, and would share the cores with what is measured; this one makes
each page and each event from one job, and says how often it was asked to change anything. `POST /bench/relist` ends every
watch with 410.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from typing import Any

import orjson
from aiohttp import web

from tests.bench import workload
from tests.world import DONE, JOB, World, all_packs

NAME, UID = "job-00000", "00000000-0000-4000-8000-000000000000"
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
        self._relist = asyncio.Event()

    def application(self) -> web.Application:
        """The server."""
        app = web.Application(client_max_size=2**24)
        app.add_routes([web.get("/bench/changes", self._told), web.post("/bench/relist", self._end_watches)])
        app.add_routes([web.get(path, self._resources) for path in SERVED])
        app.add_routes([web.route("*", "/apis/coordination.k8s.io/{rest:.*}", self._leases)])
        app.add_routes([web.get("/{rest:.*}", self._read), web.route("*", "/{rest:.*}", self._change)])
        return app

    async def _told(self, request: web.Request) -> web.Response:
        return web.json_response({"changes": self.changes, "listed_at": self._listed_at})

    async def _end_watches(self, request: web.Request) -> web.Response:
        self._relist.set()
        self._relist = asyncio.Event()
        return web.Response()

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
        uid = f"00000000-0000-4000-8000-{number:012}".encode()
        return self._job.replace(NAME.encode(), workload.job_name(number).encode()).replace(UID.encode(), uid)

    async def _watch(self, request: web.Request, jobs: int) -> web.StreamResponse:
        """Nothing happens, until the watch ends; one of jobs may be ended with 410 before. A list is streamed where asked for."""
        answer = web.StreamResponse()
        await answer.prepare(request)
        if "sendInitialEvents" in request.query:
            for number in range(jobs):
                await answer.write(b'{"type":"ADDED","object":%s}\n' % self._named(number))
            end = {"resourceVersion": "9", "annotations": {"k8s.io/initial-events-end": "true"}}
            await answer.write(orjson.dumps({"type": "BOOKMARK", "object": {"metadata": end}}) + b"\n")
            return answer
        try:
            await asyncio.wait_for(
                self._relist.wait() if jobs else asyncio.Event().wait(), float(request.query["timeoutSeconds"])
            )
            gone = {"code": 410, "reason": "Expired", "message": "too old resource version"}
            await answer.write(orjson.dumps({"type": "ERROR", "object": gone}) + b"\n")
        except TimeoutError:
            pass
        return answer

    async def _change(self, request: web.Request) -> web.Response:
        self.changes.append(f"{request.method} {request.path}")
        return web.json_response(await request.json())


async def _serve(jobs: int) -> None:
    runner = web.AppRunner(Finished(await finished_job(), jobs).application(), shutdown_timeout=0.1)
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
