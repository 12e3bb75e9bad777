"""A walkthrough that takes every path of the shipped packs and of the engine for which the operator has been given a right."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

import yaml

from engine.model.objects import Kind, Object, annotations_of, dig, metadata
from engine.packs.rbac import RULE_LIBRARY
from tests.controlplane.plane import ControlPlane
from tests.e2e.cluster import CONFIG_MAP, Cluster, eventually
from tests.e2e.kinds import OWNERS, install_owners
from tests.e2e.predictors import inference_service
from tests.world import APPLICATION, DEPLOYMENT, EVENT, JOB, POD, SERVICE, job, named, pod, trigger, triggers

STATEFUL_SET, DAEMON_SET = Kind("apps/v1", "StatefulSet"), Kind("apps/v1", "DaemonSet")
ROLE, ROLE_BINDING = (Kind("rbac.authorization.k8s.io/v1", kind) for kind in ("Role", "RoleBinding"))
AT = ("spec", "template", "metadata", "annotations", "kubectl.kubernetes.io/restartedAt")
ROLLED_OUT = ("spec", "predictor", "annotations", "mlops.dev/restarted-at")
FIELDS = {
    OWNERS["rollouts"]: ("spec", "restartAt"),
    OWNERS["services"]: ("spec", "template", "metadata", "annotations", "mlops.dev/restarted-at"),
    OWNERS["kustomizations"]: ("metadata", "annotations", "reconcile.fluxcd.io/requestedAt"),
    OWNERS["helmreleases"]: ("metadata", "annotations", "reconcile.fluxcd.io/requestedAt"),
}
FAR = "walkthrough-far"
LIBRARY = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RuleLibrary
metadata: {name: pages}
spec:
  functions:
    asked:
      description: Whether somebody is to be paged about an object.
      parameters:
        - {name: object, type: map}
      returns: bool
      expression: label(object, 'page') == 'yes'
"""
INCIDENTS = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: incidents}
spec:
  watch: {apiVersion: mlops.mlops.dev/v1alpha1, kind: NotebookValidationJob}
  rules:
    - name: page
      when: pages.asked(object)
      actions:
        - emitEvent: {type: Warning, reason: Paged, message: somebody is to look}
    - name: mark
      when: label(object, 'page') != ''
      actions:
        - annotate: {annotations: {paged: "${label(object, 'page')}"}}
"""
RELOADED = "pack on-success-triggers from"


class Walkthrough:
    """Jobs in a namespace `walkthrough` that succeed, and what they act on there, in `walkthrough-far` and in `argocd`.

    `home` is the operator's namespace and `log` gives the operator's log. The packs are in force, and predictors are
    replaced by Rollout at first.
    """

    def __init__(self, plane: ControlPlane, home: Cluster, log: Callable[[], str]) -> None:
        for name in ("walkthrough", FAR, "argocd"):
            plane.ensure("/api/v1/namespaces", {"metadata": {"name": name}})
        install_owners(plane)
        self.home, self.here, self._log = home, Cluster(plane, "walkthrough"), log

    def play(self) -> None:
        """Play it; fails where an effect does not come."""
        self._workloads()
        self._pods("Evict")
        self._pods("Delete")
        self._other_namespace()
        self._application()
        self._incidents()
        self._refused_pack()

    def _workloads(self) -> None:
        """Workloads and an InferenceService are restarted by their owners; the wave is complete."""
        kinds = (DEPLOYMENT, STATEFUL_SET, DAEMON_SET)
        predictor = {"serving.kserve.io/inferenceservice": "model", "component": "predictor"}
        self.here.create(*(workload(kind, "web") for kind in kinds), workload(DEPLOYMENT, "predictor", predictor))
        self.here.create(inference_service("model", "walkthrough"))
        asks = [trigger(kind, "web", "restart") for kind in kinds]
        self.here.create(*(named(kind, "web", "walkthrough", spec={}) for kind in OWNERS.values()))
        asks += [trigger(kind, "web", "restart") for kind in OWNERS.values()]
        asks += [trigger(SERVICE, "model", "restart")]
        self._succeed("workloads", *asks)
        for kind in kinds:
            eventually(lambda kind=kind: dig(self.here.get(kind, "web"), AT, None), f"restart of {kind} web")  # type: ignore[misc]
        for kind, field in FIELDS.items():
            eventually(lambda kind=kind, field=field: dig(self.here.get(kind, "web"), field, None), f"restart of {kind} web")  # type: ignore[misc]
        eventually(lambda: dig(self.here.get(SERVICE, "model"), ROLLED_OUT, None), "restart of the model")
        wave = "mlops.dev/wave-complete"
        eventually(lambda: annotations_of(self.here.get(JOB, "workloads")).get(wave) == "3", "wave that is complete")
        eventually(lambda: "TriggerStarted" in dict(self.here.events("workloads")), "Event")

    def _pods(self, strategy: str) -> None:
        """A predictor's pod is replaced."""
        self._strategy(strategy)
        old = strategy.lower()
        self.here.create(pod(old, namespace="walkthrough"))
        self._succeed(old, trigger(SERVICE, "model", "restart"))
        eventually(lambda: not running(self.here, old), f"pod {old} that is gone")

    def _other_namespace(self) -> None:
        """A Deployment of another namespace is restarted, since that namespace consents."""
        rules = [
            {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list", "patch"]},
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
        ]
        subject = {"kind": "ServiceAccount", "name": "default", "namespace": "walkthrough"}
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "consent"}
        self.here.create(
            named(ROLE, "consent", FAR, rules=rules),
            named(ROLE_BINDING, "consent", FAR, roleRef=reference, subjects=[subject]),
            workload(DEPLOYMENT, "web", namespace=FAR),
        )
        self._succeed("far", trigger(DEPLOYMENT, "web", "restart", FAR))
        eventually(lambda: dig(self.here.get(DEPLOYMENT, "web", FAR), AT, None), "restart in the other namespace")

    def _application(self) -> None:
        """An Application is synced, and says how its jobs are."""
        destination = {"server": "https://kubernetes.default.svc", "namespace": "walkthrough"}
        self.here.create(named(APPLICATION, "models", "argocd", spec={"destination": destination, "project": "default"}))
        self._succeed("synced", trigger(APPLICATION, "models", "sync"), labels={"app.kubernetes.io/part-of": "models"})

        def reported() -> bool:
            application = self.here.get(APPLICATION, "models", "argocd")
            return "operation" in application and "mlops.dev/notebook-status" in annotations_of(application)

        eventually(reported, "sync and status of the Application")

    def _incidents(self) -> None:
        """A user's pack, which calls a function of a library, reports each incident, by raising the count of an Event."""
        self.home.create(yaml.safe_load(LIBRARY))
        pack = named(CONFIG_MAP, "incidents", self.home.namespace, data={"incidents.yaml": INCIDENTS})
        pack["metadata"]["labels"] = {"rules.mlops.dev/rule-pack": "true"}
        self.home.create(pack)
        eventually(lambda: status(self.home, "incidents") == "ok", "status of the pack")
        uses = ("status", "packs")
        eventually(lambda: dig(self.home.get(RULE_LIBRARY, "pages"), uses, ()) == ["incidents"], "status of the library")
        self.here.create(job("paged", namespace="walkthrough"))
        for count, word in enumerate(("yes", "no", "yes"), start=1):
            self.here.patch(JOB, "paged", {"metadata": {"labels": {"page": word}}})
            eventually(lambda word=word: annotations_of(self.here.get(JOB, "paged")).get("paged") == word, f"word {count}")  # type: ignore[misc]

        def counts() -> list[int]:
            return [event["count"] for event in self.here.all(EVENT) if event["reason"] == "Paged"]

        eventually(lambda: counts() == [2], "count of the Event")

    def _refused_pack(self) -> None:
        """A ConfigMap with a pack that is broken says so, in an annotation and in an Event."""
        broken = named(CONFIG_MAP, "broken", self.home.namespace, data={"broken.yaml": "kind: RulePack"})
        broken["metadata"]["labels"] = {"rules.mlops.dev/rule-pack": "true"}
        self.home.create(broken)
        eventually(lambda: "broken.yaml" in status(self.home, "broken"), "status of the broken pack")
        eventually(lambda: "RulePackInvalid" in dict(self.home.events("broken")), "Event about the broken pack")

    def _strategy(self, strategy: str) -> None:
        """Put another way of replacing predictors in force."""
        before = self._log().count(RELOADED)
        self.home.patch(
            CONFIG_MAP, "rulepack-params", {"data": {"on-success-triggers": f"restartStrategy: {strategy}\nallowOutage: true\n"}}
        )
        eventually(lambda: self._log().count(RELOADED) > before, f"strategy {strategy} in force")

    def _succeed(self, name: str, *asks: str, labels: dict[str, str] | None = None) -> None:
        """A job succeeds, later than anything else was made: times are in whole seconds, and one to come counts as now."""
        time.sleep(1.1)
        completed = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        annotations = {"argocd.argoproj.io/sync-wave": "3", **triggers(*asks)}
        body = job(name, "Succeeded", annotations, "walkthrough", completed)
        body["metadata"]["labels"] = labels or {}
        self.here.create(body)


def workload(kind: Kind, name: str, labels: dict[str, str] | None = None, namespace: str = "walkthrough") -> Object:
    """A Deployment, StatefulSet or DaemonSet."""
    picked = {"app": name}
    template = {"metadata": {"labels": picked}, "spec": {"containers": [{"name": "main", "image": "example.com/web"}]}}
    body = named(kind, name, namespace, spec={"selector": {"matchLabels": picked}, "template": template})
    body["metadata"]["labels"] = labels or {}
    return body


def running(cluster: Cluster, name: str) -> bool:
    """Whether a pod is there, and not being deleted."""
    found = cluster.find(POD, name)
    return found is not None and "deletionTimestamp" not in metadata(found)


def status(home: Cluster, name: str) -> str:
    """What the operator says of a ConfigMap with packs."""
    return annotations_of(home.get(CONFIG_MAP, name)).get("rules.mlops.dev/status", "")
