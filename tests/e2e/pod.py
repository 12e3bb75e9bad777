"""One process of the operator, with what its pod would have: arguments, environment, and a token of its service account."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, Self

from engine.model.objects import Object, annotations_of, dig
from tests.controlplane.plane import ControlPlane
from tests.controlplane.processes import Processes
from tests.controlplane.requested import Requested
from tests.e2e.cluster import eventually
from tests.served import Served
from tests.world import RULES


class Pod:
    """A pod of a Deployment, as a process that logs in a folder; `code` is the folder that has the engine's package."""

    def __init__(
        self, plane: ControlPlane, deployment: Object, folder: Path, code: Path = RULES.parent, served: Served | None = None
    ) -> None:
        self._plane, self._processes = plane, Processes(folder)
        self._namespace = str(deployment["metadata"]["namespace"])
        self._template = deployment["spec"]["template"]
        (self._container,) = self._template["spec"]["containers"]
        self._account = self._template["spec"]["serviceAccountName"]
        self._code, self._served = code, served or Served.anywhere(plane.admin_token)
        self._user = f"system:serviceaccount:{self._namespace}:{self._account}"
        self._before = len(plane.requested(user=self._user))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._processes.kill_all()

    @property
    def environment(self) -> dict[str, str]:
        """What the manifest sets of the container's environment."""
        fields = {"metadata.namespace": self._namespace}
        fields |= {f"metadata.annotations['{key}']": value for key, value in annotations_of(self._template).items()}
        env = {}
        for entry in self._container["env"]:
            source = dig(entry, ("valueFrom", "fieldRef", "fieldPath"), None)
            env[entry["name"]] = entry.get("value", "") if source is None else fields.get(source, "")
        return env

    def start(self) -> None:
        """Start it and wait until it is ready."""
        reach = [f"--kubeconfig={self._plane.kubeconfig_for(self._namespace, self._account)}"]
        command = [sys.executable, "-m", "engine.cli", *self._container["args"], *reach, *self._served.options]
        of_kubelet = {"KUBERNETES_SERVICE_HOST": "127.0.0.1"}
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(self._code), **of_kubelet, **self.environment}
        self._processes.start("rulepack", command, env)

        def ready() -> bool:
            assert not self._processes.ended(), self._processes.end_of_log("rulepack")
            return self.ask("/readyz") == "ok\n"

        eventually(ready, "engine that is ready")

    @property
    def url(self) -> str:
        """Where /metrics and /packs are."""
        return f"https://{self._served.host}:{self._served.metrics}"

    def requested(self) -> set[Requested]:
        """What it has asked the API server for, by its audit log."""
        return set(self._plane.requested(user=self._user)[self._before :])

    def watched(self, resource: str) -> set[str]:
        """The namespaces in which it has watched a resource, '' for all of them."""
        return {one.namespace for one in self.requested() if (one.verb, one.resource) == ("watch", resource)}

    def ask(self, path: str) -> str:
        """What it answers an administrator; '' where it does not, or not with success."""
        return self._served.ask(path)

    def packs(self) -> dict[str, Any]:
        """What /packs says of each pack, by name."""
        return {pack["name"]: pack for pack in json.loads(self.ask("/packs"))["packs"]}

    def log(self) -> str:
        """All that it has printed."""
        return self._processes.log("rulepack").read_text()

    def stop(self) -> int:
        """End it as kubelet does; its exit status."""
        return self._processes.terminate("rulepack", 30.0)
