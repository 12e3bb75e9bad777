"""The pod of a Job, with the test as the Job's controller and as kubelet: the command runs here, with the Job's own rights."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Self

from engine.model.objects import dig
from tests.e2e.cluster import BATCH_JOB, Cluster, eventually, now


class JobPod:
    """Runs the command of a Job's only container as a process, with its service account's token and a real kubectl."""

    def __init__(self, cluster: Cluster, name: str, kubectl: Path, home: Path) -> None:
        self._cluster, self._name, self._log = cluster, name, home / "log"
        spec = eventually(lambda: cluster.find(BATCH_JOB, name), f"Job {name}")["spec"]["template"]["spec"]
        (container,) = spec["containers"]
        environment = {
            "PATH": f"{kubectl.parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(home),
            "KUBECONFIG": str(cluster.plane.kubeconfig_for(cluster.namespace, spec["serviceAccountName"])),
        }
        with self._log.open("w") as log:
            command = [*container["command"], *container.get("args", [])]
            self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def waits(self) -> bool:
        """Whether the command has printed something and has not ended."""
        return bool(self.log()) and self._process.poll() is None

    def log(self) -> str:
        """What the command has printed."""
        return self._log.read_text()

    def finish(self, patience: float = 60.0) -> int:
        """Wait for the end of the command, say it in the Job's status as its controller does, and return the exit code."""
        code = self._process.wait(patience)
        ended_at = now()
        ended = ["FailureTarget", "Failed"] if code else ["SuccessCriteriaMet", "Complete"]
        conditions = [{"type": kind, "status": "True", "lastTransitionTime": ended_at} for kind in ended]
        created = dig(self._cluster.get(BATCH_JOB, self._name), ("metadata", "creationTimestamp"))
        counts = {"failed": 1} if code else {"succeeded": 1, "completionTime": ended_at}
        self._cluster.status(BATCH_JOB, self._name, {"startTime": created, "conditions": conditions, **counts})
        return code
