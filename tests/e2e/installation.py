"""The operator, installed by OLM in a namespace."""

from __future__ import annotations

import yaml

from engine.model.objects import Object, dig
from tests.bundle.catalog import name
from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import Cluster
from tests.e2e.document import commands
from tests.e2e.olm import OPERATORS, Olm
from tests.world import DEPLOYMENT

RBAC = "/apis/rbac.authorization.k8s.io/v1"
OPERATOR = "rulepack-operator"
MANIFESTS = commands("By OLM")[0].partition("<<'YAML'\n")[2].partition("\nYAML\n")[0]


class Installation:
    """The operator in a namespace, subscribed to from a version on, for target namespaces: none stands for all."""

    def __init__(self, plane: ControlPlane, olm: Olm, namespace: str, *targets: str) -> None:
        self.plane, self.namespace = plane, namespace
        self.home = Cluster(plane, namespace)
        self._olm, self._targets = olm, targets

    def subscribe(self, version: str) -> None:
        """Make the OperatorGroup and the Subscription of docs/install.md, to the test's catalog and from a version on."""
        self.plane.ensure("/api/v1/namespaces", {"metadata": {"name": self.namespace}})
        group, subscription = yaml.safe_load_all(MANIFESTS)
        group["spec"] |= {"targetNamespaces": [*self._targets]} if self._targets else {}
        subscription["spec"] |= {"startingCSV": name(version), "installPlanApproval": "Manual"}
        group["metadata"]["namespace"] = subscription["metadata"]["namespace"] = self.namespace
        self.plane.ensure(f"/apis/operators.coreos.com/v1/namespaces/{self.namespace}/operatorgroups", group)
        self.plane.ensure(self._path("subscriptions"), subscription)

    def install(self, version: str) -> None:
        """Approve the InstallPlan of a version, and play the Deployment until OLM says that it has succeeded.

        The InstallPlan has to be complete too: one that is still under way makes again what is deleted meanwhile.
        """
        path = self._path("installplans")

        def succeeded() -> bool:
            plans = [
                one
                for one in self.plane.request("GET", path)["items"]
                if name(version) in one["spec"]["clusterServiceVersionNames"]
            ]
            phases = {plan["metadata"]["name"]: dig(plan, ("status", "phase"), "") for plan in plans}
            for plan, phase in phases.items():
                if phase == "RequiresApproval":
                    self.plane.request("PATCH", f"{path}/{plan}", {"spec": {"approved": True}})
            if deployment := self.home.find(DEPLOYMENT, OPERATOR):
                self._become_available(deployment)
            return self.versions().get(name(version)) == "Succeeded" and {*phases.values()} == {"Complete"}

        self._olm.eventually(succeeded, f"ClusterServiceVersion {version} that has succeeded")

    def planned(self) -> set[str]:
        """The names of all ClusterServiceVersions that OLM has planned to install."""
        plans = self.plane.request("GET", self._path("installplans"))["items"]
        return {planned for plan in plans for planned in plan["spec"]["clusterServiceVersionNames"]}

    def uninstall(self, version: str) -> None:
        """Delete Subscription and ClusterServiceVersion, and wait until OLM has taken back what it made."""
        self.plane.request("DELETE", self._path("subscriptions", OPERATOR))
        self.plane.request("DELETE", self._path("clusterserviceversions", name(version)))
        self._olm.eventually(lambda: not self.versions(), "ClusterServiceVersion that is gone")
        self._olm.eventually(lambda: not self.cluster_roles(), "ClusterRoles that are gone")

    def versions(self) -> dict[str, str]:
        """The phases of the ClusterServiceVersions, without the copies that OLM makes in namespaces that an operator watches."""
        items = self.plane.request("GET", self._path("clusterserviceversions") + "?labelSelector=!olm.copiedFrom")["items"]
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
