"""The operator that owns NotebookValidationJob, for tests: it writes a job's status in the order in which that one does.

The orders are those of its release 1.0.8, as measured: which fields each write holds, and that each is a PUT of the whole
status. Since 1.0.4 it also carries out the annotations of ADR-048 itself (see `job_annotations`). Its waits of minutes are
fractions of a second here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any

from engine.model.objects import Object, annotations_of, dig, metadata
from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import now
from tests.simulators.background import Background, Client, Refused
from tests.simulators.job_annotations import WAVE, Annotations, with_wave_ended

JOBS = "/apis/mlops.mlops.dev/v1alpha1"
NOTEBOOK, GIT = "validator", "git-clone"
"""The containers of a job's pod that fail."""
MAX_FAILURES = 3
OWN_NODE = "jobs-operator"
#: Seconds until it goes on where somebody else has written the job meanwhile.
AFTER_CONFLICT = 0.1
#: Seconds between the two writes of a build that fails.
BETWEEN_FAILURES = 0.45
#: Seconds between two checks of its pod.
POLL = 0.05


@dataclass(frozen=True, slots=True)
class Run:
    """What becomes of a job; times are in seconds. A Git Secret that is missing and a build are read from its spec."""

    training: float = 0.3
    """How long its pod runs."""
    failures: int = 0
    """How many of its pods fail, one after the other, before one succeeds; after three the job has failed."""
    container: str = NOTEBOOK
    """The container that fails; a failure of GIT is not tried again."""
    error: str = "ModuleNotFoundError: No module named 'kserve_wrapper'"
    back_off: float = 0.2
    """Between a pod that has failed and the next."""
    build: float = 0.2
    """How long the build takes, where its spec asks for one."""
    build_error: str = ""
    """Why the build fails, '' where it does not."""


class JobsOperator(Background):
    """Runs every job of a namespace ('': of all) once. A job runs as `use` said last when it begins.

    `handles_triggers` has it carry out the job's annotations too, as 1.0.4 and newer do with no switch to turn that off.
    With `ends_pods` its pods end by themselves, on a node of their own; else a kubelet has to run them.
    """

    def __init__(
        self, plane: ControlPlane, namespace: str = "", *, handles_triggers: bool = False, ends_pods: bool = True
    ) -> None:
        super().__init__(plane)
        self._jobs = f"{JOBS}/namespaces/{namespace}/notebookvalidationjobs" if namespace else f"{JOBS}/notebookvalidationjobs"
        self._handles_triggers, self._ends_pods = handles_triggers, ends_pods
        self._runs: list[tuple[str, Run]] = [("", Run())]
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def use(self, run: Run, name: str = "") -> None:
        """Have jobs of this name ('': all) run so from now on; what runs already goes on."""
        self._runs.append((name, run))

    async def play(self, client: Client) -> None:
        """Follow the jobs; one that has ended, or that is gone, is left alone."""
        annotations = Annotations(client) if self._handles_triggers else None
        async with asyncio.TaskGroup() as group:
            async for jobs in client.watch(self._jobs):
                for uid in self._tasks.keys() - jobs.keys():
                    self._tasks.pop(uid).cancel()
                for uid, job in jobs.items():
                    if uid not in self._tasks and not dig(job, ("status", "completionTime"), ""):
                        how = next(run for name, run in reversed(self._runs) if name in ("", metadata(job)["name"]))
                        life = _JobRun(client, job, how, annotations, pods=group if self._ends_pods else None)
                        self._tasks[uid] = group.create_task(life.run())
                self.ready()


class _JobRun:
    """One run of one job. Its pods end in `pods`, whatever becomes of the job; None: a kubelet has to run them."""

    def __init__(
        self, client: Client, job: Object, how: Run, annotations: Annotations | None, *, pods: asyncio.TaskGroup | None
    ) -> None:
        self._client, self._job, self._how, self._annotations, self._group = client, job, how, annotations, pods
        about = metadata(job)
        self._namespace, self._name, self._uid = str(about["namespace"]), str(about["name"]), str(about["uid"])
        self._path = f"{JOBS}/namespaces/{self._namespace}/notebookvalidationjobs/{self._name}"
        self._pods = f"/api/v1/namespaces/{self._namespace}/pods"
        self._pod = f"{self._name}-validation"

    async def run(self) -> None:
        """From its creation to its end, or until it is gone."""
        try:
            await self._put(phase="Initializing", startTime=now(), conditions=[_condition("Ready", "False", "Initializing")])
            if not dig(self._job, ("spec", "podConfig", "buildConfig", "enabled"), False) or await self._build():
                await self._put(phase="ValidationRunning")
                while not await self._attempt():
                    await asyncio.sleep(self._how.back_off)
        except Refused as refused:
            if refused.status != HTTPStatus.NOT_FOUND:
                raise

    async def _build(self) -> bool:
        """Build the image; whether that worked."""
        started = now()
        named = {
            "buildName": f"{self._name}-build",
            "strategy": dig(self._job, ("spec", "podConfig", "buildConfig", "strategy"), ""),
        }
        await self._put(phase="Building")
        await self._put(buildStatus={"phase": "Pending", "message": "Build initialization", "startTime": started})
        await self._put(buildStatus={"phase": "Running", "message": "Build created and started", "startTime": started, **named})
        await asyncio.sleep(self._how.build)
        ended = {"startTime": started, "completionTime": now(), "duration": f"{self._how.build:.0f}s", **named}
        if self._how.build_error:
            await self._put(buildStatus={"phase": "Failed", "message": f"Build failed: {self._how.build_error}", **ended})
            await self._put(phase="Failed")
            await asyncio.sleep(BETWEEN_FAILURES)
            await self._end("Failed", "Unknown phase: Failed")
            return False
        image = f"registry.example.com/{self._namespace}/{self._name}:latest"
        await self._put(buildStatus={"phase": "Complete", "message": "Build completed", "imageReference": image, **ended})
        await self._put(phase="BuildComplete")
        return True

    async def _attempt(self) -> bool:
        """Have a pod run the notebook, be it one that a former job of this name has left; whether the job has ended."""
        if await self._read(f"{self._pods}/{self._pod}") is None:
            starting = "Starting validation"
            condition = _condition("ValidationComplete", "Unknown", "PodRunning", starting)
            await self._put(phase="Running", message=starting, conditions=self._with(condition))
            if missing := await self._missing_secret():
                await self._end("Failed", f'Failed to create the validation pod: secret "{missing}" not found')
                return True
            created = await self._client.request("POST", self._pods, self._new_pod())
            if self._group:
                self._group.create_task(self._end_pod(str(metadata(created)["uid"])))
            await self._put(validationPodName=self._pod)
            await self._put(phase="ValidationRunning")
        try:
            pod = await self._ended_pod()
        except Refused as refused:
            if refused.status != HTTPStatus.NOT_FOUND:
                raise
            # As the real one does where it has taken over the pod of a former job, which then goes with that job.
            await self._end("Failed", f'Failed to get the validation pod: pods "{self._pod}" not found')
            return True
        if dig(pod, ("status", "phase"), "") == "Succeeded":
            results = [{"cellIndex": index, "status": "Success"} for index in range(3)]
            await self._put(message="Validation completed: 3/3 cells succeeded (100.0% success rate)", results=results)
            await self._end("Succeeded", str(self._job["status"]["message"]))
            return True
        failures = int(dig(self._job, ("status", "retryCount"), 0)) + 1
        await self._put(retryCount=failures, lastRetryTime=now())
        container, error = _failure(pod)
        if container == GIT or failures >= MAX_FAILURES:
            await self._end("Failed", f"Validation pod failed: {container} - {error}. Suggested action: Check its log")
            return True
        await self._client.request("DELETE", f"{self._pods}/{self._pod}", {"gracePeriodSeconds": 0})
        return False

    async def _end(self, phase: str, message: str) -> None:
        """Write the end of the run; what the job's annotations ask for comes before it, and those of the wave after it."""
        if self._annotations:
            await self._annotations.before_end(self._job, phase, message)
        succeeded = phase == "Succeeded"
        reason = "ValidationComplete" if succeeded else "PodFailed"
        condition = _condition("ValidationComplete", "True" if succeeded else "False", reason, message)
        await self._put(phase=phase, message=message, completionTime=now(), conditions=self._with(condition))
        if self._annotations and WAVE in annotations_of(self._job):
            await self._write("", partial(with_wave_ended, phase=phase, when=now()))

    async def _put(self, **fields: Any) -> None:
        """Put the status with other values for some of its fields."""
        await self._write("/status", lambda job: {**job, "status": {**job.get("status", {}), **fields}})

    async def _write(self, subresource: str, change: Callable[[Object], Object]) -> None:
        """Put what it knows of the job, changed; where somebody has written it meanwhile, read it again and go on."""
        while True:
            try:
                self._job = await self._client.request("PUT", self._path + subresource, change(self._job))
            except Refused as refused:
                if refused.status != HTTPStatus.CONFLICT:
                    raise
            else:
                return
            await asyncio.sleep(AFTER_CONFLICT)
            found = await self._client.request("GET", self._path)
            if metadata(found)["uid"] != self._uid:
                raise Refused(HTTPStatus.NOT_FOUND, "another job has its name")
            self._job = found

    def _with(self, condition: dict[str, str]) -> list[dict[str, str]]:
        """The job's conditions, with this one among them."""
        conditions = dig(self._job, ("status", "conditions"), [])
        return [*(one for one in conditions if one["type"] != condition["type"]), condition]

    async def _missing_secret(self) -> str:
        """The name of the Secret with which the repository is read, '' where it needs none or has it."""
        name = str(dig(self._job, ("spec", "notebook", "git", "credentialsSecret"), ""))
        if not name:
            return ""
        return "" if await self._read(f"/api/v1/namespaces/{self._namespace}/secrets/{name}") else name

    async def _read(self, path: str) -> Object | None:
        try:
            return await self._client.request("GET", path)
        except Refused as refused:
            if refused.status != HTTPStatus.NOT_FOUND:
                raise
            return None

    def _new_pod(self) -> Object:
        owner = {
            "apiVersion": self._job["apiVersion"], "kind": self._job["kind"], "name": self._name, "uid": self._uid,
            "controller": True, "blockOwnerDeletion": True,
        }  # fmt: skip
        image = self._job["spec"]["podConfig"]["containerImage"]
        return {
            "metadata": {"name": self._pod, "labels": {"notebookvalidationjob": self._name}, "ownerReferences": [owner]},
            "spec": {
                "restartPolicy": "Never",
                **({"nodeName": OWN_NODE} if self._group else {}),
                "initContainers": [{"name": GIT, "image": "registry.example.com/git"}],
                "containers": [{"name": NOTEBOOK, "image": image}],
            },
        }

    async def _end_pod(self, uid: str) -> None:
        """Write the end of its pod after the training, as a kubelet does; one that is gone by then has no end."""
        failed = int(dig(self._job, ("status", "retryCount"), 0)) < self._how.failures
        await asyncio.sleep(self._how.training)
        ended = {"exitCode": int(failed), "finishedAt": now(), "message": self._how.error if failed else ""}
        field = "initContainerStatuses" if failed and self._how.container == GIT else "containerStatuses"
        name = GIT if field == "initContainerStatuses" else NOTEBOOK
        container = {
            "name": name, "image": "", "imageID": "", "ready": False, "restartCount": 0, "state": {"terminated": ended},
        }  # fmt: skip
        status = {"phase": "Failed" if failed else "Succeeded", field: [container]}
        try:
            body = {"metadata": {"uid": uid}, "status": status}
            await self._client.request("PATCH", f"{self._pods}/{self._pod}/status", body)
        except Refused as refused:
            if refused.status not in (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT):  # 409: another pod has its name
                raise

    async def _ended_pod(self) -> Object:
        """Its pod, once that has ended. Raises Refused where it is gone."""
        while True:
            pod = await self._client.request("GET", f"{self._pods}/{self._pod}")
            if dig(pod, ("status", "phase"), "") in ("Succeeded", "Failed"):
                return pod
            await asyncio.sleep(POLL)


def _failure(pod: Object) -> tuple[str, str]:
    """The container that has failed and what it says."""
    for field in ("initContainerStatuses", "containerStatuses"):
        for container in dig(pod, ("status", field), []):
            if ended := dig(container, ("state", "terminated", "exitCode"), 0):
                return str(container["name"]), str(dig(container, ("state", "terminated", "message"), f"exit code {ended}"))
    return NOTEBOOK, str(dig(pod, ("status", "message"), "unknown"))


def _condition(kind: str, status: str, reason: str, message: str = "") -> dict[str, str]:
    return {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": now()}
