"""An InferenceService of the real KServe, its pods, and what may keep new ones from serving."""

from __future__ import annotations

from typing import Any

from engine.model.objects import Kind, Object, dig, metadata
from tests.capacity import Capacity, serves
from tests.e2e.cluster import Cluster, eventually
from tests.simulators.behavior import Behavior
from tests.simulators.kubelet import Kubelet
from tests.world import DEPLOYMENT, SERVICE, named

QUOTA = Kind("v1", "ResourceQuota")
CONTAINER = {"name": "kserve-container", "image": "example.com/model", "ports": [{"containerPort": 8080}]}
#: How pods behave unless a test says otherwise; a gap of this load time is seen by any reader.
HEALTHY = Behavior(load=2.0, stop=0.5)
BROKEN = Behavior(runs=0.2, exit_code=1, message="model.joblib: no such file")
NO_ROOM = Behavior(unschedulable="0/3 nodes are available: 3 Insufficient nvidia.com/gpu.")

#: What may keep a new pod from serving: no room in the quota, none on the nodes, a model that does not load.
FAULTS = ("quota", "room", "model")


class Service:
    """KServe writes its minReplicas into the Deployment, as its annotation says that there is no autoscaler."""

    def __init__(self, cluster: Cluster, kubelet: Kubelet, name: str) -> None:
        self._cluster, self._kubelet, self._name = cluster, kubelet, name
        self.behave(HEALTHY)

    def create(self, replicas: int, *, mode: str = "Standard", transformer: bool = False, **predictor: Any) -> set[str]:
        """Create it, and return the uids of its predictor pods once they serve."""
        for name in self.make(replicas, mode=mode, transformer=transformer, **predictor):
            eventually(lambda name=name: len(self.pods(name)) == replicas, f"{replicas} pods of the {name}")  # type: ignore[misc]
            self.settled(name)
        return self.pods()

    def make(self, replicas: int, *, mode: str = "Standard", transformer: bool = False, **predictor: Any) -> list[str]:
        """Create it, and return the names of its components."""
        component = {"minReplicas": replicas, "maxReplicas": replicas, "containers": [CONTAINER]}
        components = {"predictor": {**component, **predictor}, **({"transformer": component} if transformer else {})}
        body = named(SERVICE, self._name, self._cluster.namespace, spec=components)
        body["metadata"]["annotations"] = {
            "serving.kserve.io/deploymentMode": mode, "serving.kserve.io/autoscalerClass": "none",
        }  # fmt: skip
        self._cluster.create(body)
        return list(components)

    def pods(self, component: str = "predictor") -> set[str]:
        """The uids of the pods of a component that serve."""
        return {str(metadata(one)["uid"]) for one in self._pods(component) if serves(one)}

    def settled(self, component: str = "predictor") -> set[str]:
        """The same, once the component has no others."""

        def only() -> set[str]:
            there = self._pods(component)
            return self.pods(component) if there and all(map(serves, there)) else set()

        return eventually(only, f"{component} all of whose pods serve")

    def capacity(self) -> Capacity:
        """A recorder of its predictor pods."""
        return Capacity(self._cluster.plane, self._cluster.namespace, self._selector("predictor"))

    def get(self) -> Object:
        """The InferenceService."""
        return self._cluster.get(SERVICE, self._name)

    def deployment(self) -> Object:
        """The predictor's Deployment."""
        return self._cluster.get(DEPLOYMENT, f"{self._name}-predictor")

    def patch(self, body: dict[str, Any]) -> None:
        """Merge into the InferenceService."""
        self._cluster.patch(SERVICE, self._name, body)

    def behave(self, behavior: Behavior) -> None:
        """Have its pods behave so from their next start on."""
        self._kubelet.use(behavior, self._cluster.namespace)

    def hinder(self, fault: str) -> None:
        """Keep new pods from serving by one of FAULTS; those that serve go on."""
        if fault == "quota":
            self._cluster.create(named(QUOTA, "full", self._cluster.namespace, spec={"hard": {"pods": "0"}}))
            eventually(lambda: dig(self._cluster.get(QUOTA, "full"), ("status", "used", "pods"), ""), "quota that is in force")
        else:
            self.behave({"room": NO_ROOM, "model": BROKEN}[fault])

    def _pods(self, component: str) -> list[Object]:
        selector = self._selector(component).replace("=", "%3D").replace(",", "%2C").replace("/", "%2F")
        address = f"/api/v1/namespaces/{self._cluster.namespace}/pods?labelSelector={selector}"
        items: list[Object] = self._cluster.plane.request("GET", address)["items"]
        return items

    def _selector(self, component: str) -> str:
        return f"serving.kserve.io/inferenceservice={self._name},component={component}"
