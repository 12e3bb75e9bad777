"""The life of one pod, as a scheduler and a kubelet write it down; statuses are those of kubernetes: pkg/kubelet/status."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from engine.model.objects import Object, dig, metadata
from tests.simulators.background import Client, Refused
from tests.simulators.behavior import Behavior

#: Seconds between two attempts to schedule a pod.
RETRY = 0.1
#: What is answered about a pod that is gone, that another one has replaced, or whose namespace is being terminated.
GONE = (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.FORBIDDEN)


class PodLife:
    """Binds a pod, runs its containers, all of them alike, and ends it. `behavior` says how a pod behaves that starts now."""

    def __init__(self, client: Client, pod: Object, node: str, behavior: Callable[[Object], Behavior]) -> None:
        self._client, self._pod, self._node, self._now_behaves = client, pod, node, behavior
        about = metadata(pod)
        self.namespace, self.name, self._uid = str(about["namespace"]), str(about["name"]), str(about["uid"])
        self._path = f"/api/v1/namespaces/{self.namespace}/pods/{self.name}"
        self.ending = False
        """Whether it has begun to stop."""
        self._behavior = behavior(pod)
        self._conditions: dict[str, dict[str, str]] = {}
        self._restarts = 0
        self._started = ""
        self._last: dict[str, Any] = {}

    @property
    def log(self) -> str:
        """What its containers have printed since they started last."""
        return self._behavior.log

    async def run(self) -> None:
        """From its creation to its end, if it ends by itself."""
        if dig(self._pod, ("status", "phase"), "") in ("Succeeded", "Failed"):
            return
        with _while_it_is_there():
            if not dig(self._pod, ("spec", "nodeName"), ""):
                await self._bind()
            while await self._run_once():
                self._restarts += 1
                await self._write("Running", {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off restarting"}})
                await asyncio.sleep(self._behavior.back_off)

    async def end(self, grace: float) -> None:
        """What a deletion asks for: gone after the time that it takes to stop, `grace` at most."""
        self.ending = True
        await asyncio.sleep(min(self._behavior.stop, grace))
        with _while_it_is_there():
            await self._client.request("DELETE", self._path, {"gracePeriodSeconds": 0, "preconditions": {"uid": self._uid}})

    async def fail(self, reason: str, message: str) -> None:
        """What a kubelet does to a pod for which the node has no room: it stays there, as Failed."""
        with _while_it_is_there():
            await self._write("Failed", _terminated(137, "Error", "", self._started), reason=reason, message=message)

    async def _bind(self) -> None:
        while why := self._now_behaves(self._pod).unschedulable:
            if self._conditions.get("PodScheduled", {}).get("message") != why:
                self._condition("PodScheduled", "False", "Unschedulable", why)
                await self._patch({"conditions": list(self._conditions.values())})
            await asyncio.sleep(RETRY)
        self._conditions.clear()
        binding = {"metadata": {"name": self.name, "uid": self._uid}, "target": {"kind": "Node", "name": self._node}}
        await self._client.request("POST", f"{self._path}/binding", binding)

    async def _run_once(self) -> bool:
        """Start the containers and stay until they exit; whether they are to start again."""
        self._behavior = behavior = self._now_behaves(self._pod)
        self._started = _now()
        running = {"running": {"startedAt": self._started}}
        await self._write("Running", running)
        if behavior.load < behavior.runs:
            await asyncio.sleep(behavior.load)
            await self._write("Running", running, ready=True)
            await asyncio.sleep(behavior.runs - behavior.load)
        else:
            await asyncio.sleep(behavior.runs)
        ended = _terminated(behavior.exit_code, "Error" if behavior.exit_code else "Completed", behavior.message, self._started)
        policy = dig(self._pod, ("spec", "restartPolicy"), "Always")
        if policy == "Always" or (policy == "OnFailure" and behavior.exit_code):
            self._last = ended
            return True
        await self._write("Failed" if behavior.exit_code else "Succeeded", ended)
        return False

    async def _write(self, phase: str, state: dict[str, Any], *, ready: bool = False, **status: str) -> None:
        containers = [container["name"] for container in self._pod["spec"]["containers"]]
        unready = "PodCompleted" if phase == "Succeeded" else "PodFailed" if phase == "Failed" else "ContainersNotReady"
        self._condition("Initialized", "True")
        for kind in ("Ready", "ContainersReady"):
            if ready:
                self._condition(kind, "True")
            else:
                self._condition(kind, "False", unready, f"containers with unready status: [{' '.join(containers)}]")
        await self._patch({
            "phase": phase, "conditions": list(self._conditions.values()), "startTime": metadata(self._pod)["creationTimestamp"],
            "containerStatuses": [
                {
                    "name": container["name"], "image": container["image"], "imageID": "", "ready": ready,
                    "started": "running" in state, "restartCount": self._restarts, "state": state, "lastState": self._last,
                }
                for container in self._pod["spec"]["containers"]
            ],
            **status,
        })  # fmt: skip

    async def _patch(self, status: dict[str, Any]) -> None:
        """Merge into its status; conditions that others have set stay."""
        body = {"metadata": {"uid": self._uid}, "status": status}
        await self._client.request("PATCH", f"{self._path}/status", body, strategic=True)

    def _condition(self, kind: str, status: str, reason: str = "", message: str = "") -> None:
        before = self._conditions.get(kind, {})
        since = before["lastTransitionTime"] if before.get("status") == status else _now()
        self._conditions[kind] = {
            "type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": since,
        }  # fmt: skip


def _terminated(exit_code: int, reason: str, message: str, started: str) -> dict[str, Any]:
    ended = {"exitCode": exit_code, "reason": reason, "message": message, "startedAt": started, "finishedAt": _now()}
    return {"terminated": ended}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@contextmanager
def _while_it_is_there() -> Iterator[None]:
    """Give up what is done for a pod that is GONE."""
    try:
        yield
    except Refused as refused:
        if refused.status not in GONE:
            raise
