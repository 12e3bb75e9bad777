"""The operator, installed by OLM in a namespace, and one process of it with the rights and the environment that OLM gives."""

from __future__ import annotations

import os
import sys
import urllib.request
from pathlib import Path
from typing import Any, Self

from engine.model.objects import Object, annotations_of, dig
from tests.bundle.catalog import name
from tests.controlplane.plane import ControlPlane
from tests.controlplane.processes import Processes, free_ports
from tests.e2e.cluster import Cluster, eventually
from tests.e2e.olm import OPERATORS, Olm
from tests.world import DEPLOYMENT, RULES

RBAC = "/apis/rbac.authorization.k8s.io/v1"
OPERATOR = "rulepack-operator"


class Installation:
    """The operator in a namespace, subscribed to from a version on, for target namespaces: none stands for all."""

    def __init__(self, plane: ControlPlane, olm: Olm, namespace: str, targets: tuple[str, ...], folder: Path) -> None:
        self.plane, self.namespace = plane, namespace
        self.home = Cluster(plane, namespace)
        self._olm, self._targets = olm, targets
        self._processes = Processes(folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._processes.kill_all()

    def subscribe(self, version: str) -> None:
        """Make the OperatorGroup and the Subscription."""
        self.plane.ensure("/api/v1/namespaces", {"metadata": {"name": self.namespace}})
        spec: dict[str, Any] = {"targetNamespaces": [*self._targets]} if self._targets else {}
        group = {"apiVersion": "operators.coreos.com/v1", "kind": "OperatorGroup", "metadata": {"name": "rulepack"}, "spec": spec}
        self.plane.ensure(f"/apis/operators.coreos.com/v1/namespaces/{self.namespace}/operatorgroups", group)
        spec = {
            "name": OPERATOR, "channel": "stable", "source": "test", "sourceNamespace": "olm",
            "startingCSV": name(version), "installPlanApproval": "Manual",
        }  # fmt: skip
        self.plane.ensure(self._path("subscriptions"), {
            "apiVersion": "operators.coreos.com/v1alpha1", "kind": "Subscription", "metadata": {"name": OPERATOR}, "spec": spec,
        })  # fmt: skip

    def install(self, version: str) -> None:
        """Approve the InstallPlan of a version, and play the Deployment until OLM says that it has succeeded."""
        plans = self._path("installplans")

        def succeeded() -> bool:
            for plan in self.plane.request("GET", plans)["items"]:
                asks = dig(plan, ("status", "phase"), "") == "RequiresApproval"
                if asks and name(version) in plan["spec"]["clusterServiceVersionNames"]:
                    self.plane.request("PATCH", f"{plans}/{plan['metadata']['name']}", {"spec": {"approved": True}})
            if deployment := self.home.find(DEPLOYMENT, OPERATOR):
                self._become_available(deployment)
            return self.versions().get(name(version)) == "Succeeded"

        self._olm.eventually(succeeded, f"ClusterServiceVersion {version} that has succeeded")

    def uninstall(self, version: str) -> None:
        """Delete Subscription and ClusterServiceVersion, and wait until OLM has taken back what it made."""
        self.plane.request("DELETE", self._path("subscriptions", OPERATOR))
        self.plane.request("DELETE", self._path("clusterserviceversions", name(version)))
        self._olm.eventually(lambda: not self.versions(), "ClusterServiceVersion that is gone")
        self._olm.eventually(lambda: not self.cluster_roles(), "ClusterRoles that are gone")

    def versions(self) -> dict[str, str]:
        """The phases of the ClusterServiceVersions."""
        items = self.plane.request("GET", self._path("clusterserviceversions"))["items"]
        return {item["metadata"]["name"]: dig(item, ("status", "phase"), "") for item in items}

    def version(self, version: str) -> Object:
        """A ClusterServiceVersion as OLM has it."""
        return self.plane.request("GET", self._path("clusterserviceversions", name(version)))

    def cluster_roles(self) -> list[Object]:
        """The ClusterRoles that OLM has bound to the operator in all namespaces."""
        bindings = self.plane.request("GET", f"{RBAC}/clusterrolebindings")["items"]
        spaces = [{subject.get("namespace") for subject in binding.get("subjects", ())} for binding in bindings]
        names = {one["roleRef"]["name"] for one, spaces in zip(bindings, spaces, strict=True) if self.namespace in spaces}
        return [role for role in self.plane.request("GET", f"{RBAC}/clusterroles")["items"] if role["metadata"]["name"] in names]

    @property
    def deployment(self) -> Object:
        """The Deployment that OLM has made."""
        return self.home.get(DEPLOYMENT, OPERATOR)

    @property
    def user(self) -> str:
        """The operator, as the API server knows it."""
        account = self.deployment["spec"]["template"]["spec"]["serviceAccountName"]
        return f"system:serviceaccount:{self.namespace}:{account}"

    def environment(self) -> dict[str, str]:
        """What the pod's environment would be."""
        template = self.deployment["spec"]["template"]
        (container,) = template["spec"]["containers"]
        fields = {"metadata.namespace": self.namespace}
        fields |= {f"metadata.annotations['{key}']": value for key, value in annotations_of(template).items()}
        env = {}
        for entry in container["env"]:
            source = dig(entry, ("valueFrom", "fieldRef", "fieldPath"), None)
            env[entry["name"]] = entry.get("value", "") if source is None else fields.get(source, "")
        return env

    def run(self) -> None:
        """Start the engine as the pod would: its arguments, its environment, a token of its service account."""
        pod = self.deployment["spec"]["template"]["spec"]
        (port,) = free_ports(1)
        reach = [f"--kubeconfig={self.plane.kubeconfig_for(self.namespace, pod['serviceAccountName'])}"]
        reach += ["--address=127.0.0.1", f"--port={port}"]
        command = [sys.executable, "-m", "engine.cli", *pod["containers"][0]["args"], *reach]
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(RULES.parent), **self.environment()}
        self._processes.start("rulepack", command, env)

        def ready() -> bool:
            assert not self._processes.ended(), self._processes.end_of_log("rulepack")
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
                    return bool(answer.read() == b"ok\n")
            except OSError:
                return False

        eventually(ready, "engine that is ready")

    def log(self) -> str:
        """All that the engine has printed."""
        return self._processes.log("rulepack").read_text()

    def stop(self) -> int:
        """End the engine as kubelet does; its exit status."""
        return self._processes.terminate("rulepack", 30.0)

    def _become_available(self, deployment: Object) -> None:
        """Say of a Deployment what its controller would, with pods that run."""
        generation = deployment["metadata"]["generation"]
        if dig(deployment, ("status", "observedGeneration"), 0) == generation:
            return
        conditions = [{"type": kind, "status": "True", "reason": "Played"} for kind in ("Available", "Progressing")]
        counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), 2)
        self.home.status(DEPLOYMENT, OPERATOR, {"observedGeneration": generation, "conditions": conditions, **counts})

    def _path(self, plural: str, name: str = "") -> str:
        return f"{OPERATORS}/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")
