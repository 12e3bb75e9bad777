"""What each pack of examples/packs is to do on a real kube-apiserver: what somebody changes, and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from engine.model.objects import Object, annotations_of, dig, labels_of
from tests.e2e.cluster import now
from tests.world import job

SHORT = 1.0
"""Seconds of each `for` and throttle, in place of those of the packs."""
CORE, APPS = "/api/v1/namespaces/gallery", "/apis/apps/v1/namespaces/gallery"
CLAIM, WEB, NODE = f"{CORE}/persistentvolumeclaims", f"{APPS}/deployments/web", "/api/v1/nodes"
RELEASES = "/apis/helm.toolkit.fluxcd.io/v2/namespaces/gallery/helmreleases"
RUNS = "/apis/tekton.dev/v1/namespaces/gallery/pipelineruns"
JOBS, WORKFLOWS = "/apis/batch/v1/namespaces/gallery/jobs", "/apis/argoproj.io/v1alpha1/namespaces/gallery/workflows"
SERVICE_KIND = {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService"}
SERVICES = "/apis/serving.kserve.io/v1beta1/namespaces/gallery/inferenceservices"
NOTEBOOKS = "/apis/mlops.mlops.dev/v1alpha1/namespaces/gallery/notebookvalidationjobs"
Change = tuple[str, str, Mapping[str, Any] | Callable[[], Mapping[str, Any]]]


class Reaction(NamedTuple):
    """What somebody does, and what becomes of the object at a path: whether it is so, from the object before and now.

    `held` is for how long the pack waits on purpose, in seconds.
    """

    what: str
    changes: tuple[Change, ...]
    path: str
    holds: Callable[[Object, Object], object]
    held: float = 0.0


def made(name: str, **fields: Any) -> dict[str, Any]:
    """An object to be created; `labels` and `annotations` are its own."""
    return {"metadata": {"name": name, **{key: fields.pop(key) for key in ("labels", "annotations") if key in fields}}, **fields}


def deployment(name: str, **metadata: Any) -> dict[str, Any]:
    """A Deployment that uses a ConfigMap and a Secret."""
    used = {"envFrom": [{"configMapRef": {"name": "settings"}}],
            "env": [{"name": "P", "valueFrom": {"secretKeyRef": {"name": "password", "key": "p"}}}]}  # fmt: skip
    template = {
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": "main", "image": "example.com/web", **used}]},
    }
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": name}}, "template": template}
    return made(name, spec=spec, **metadata)


def content(obj: Object) -> str:
    """The annotation of its pods that restarts them."""
    return str(dig(obj, ("spec", "template", "metadata", "annotations", "example.com/content"), ""))


def deadlock(status: str) -> Change:
    """What the node problem detector says."""
    return "PATCH", f"{NODE}/worker/status", {"status": {"conditions": [{"type": "KernelDeadlock", "status": status}]}}


def reported(reason: str) -> Callable[[Object, Object], bool]:
    """Whether there is an Event with that reason."""
    return lambda _, events: any(event["reason"] == reason for event in events["items"])


def succeeded() -> dict[str, Any]:
    """The status of a PipelineRun that has ended now."""
    return {"status": {"completionTime": now(), "conditions": [{"type": "Succeeded", "status": "True"}]}}


def service(name: str) -> dict[str, Any]:
    """An InferenceService that serves the first version of a model."""
    model = {"modelFormat": {"name": "sklearn"}, "storageUri": f"pvc://models/{name}/1"}
    return {**SERVICE_KIND, **made(name, spec={"predictor": {"model": model}})}


def pipeline_run(name: str, **annotations: str) -> dict[str, Any]:
    """A PipelineRun of Tekton's that runs; the keys of its annotations are those behind example.com/."""
    own = {f"example.com/{key}": value for key, value in annotations.items()}
    return {"apiVersion": "tekton.dev/v1", "kind": "PipelineRun", **made(
        name, annotations=own, spec={"pipelineRef": {"name": name}})}  # fmt: skip


def training(name: str, storage_uri: str) -> Change:
    """A notebook is to train a model for the service spam, and its job begins."""
    return "POST", NOTEBOOKS, job(name, None, {"example.com/service": "spam", "example.com/storage-uri": storage_uri}, "gallery")


def trained(name: str) -> Change:
    """A job has trained its model."""
    return "PATCH", f"{NOTEBOOKS}/{name}/status", lambda: {"status": {"phase": "Succeeded", "completionTime": now()}}


def completed() -> dict[str, Any]:
    """The status of a Job that has completed now, with all that the API server asks of one."""
    conditions = [{"type": each, "status": "True"} for each in ("SuccessCriteriaMet", "Complete")]
    return {"status": {"startTime": now(), "completionTime": now(), "succeeded": 1, "conditions": conditions}}


def loaded(before: Object, service: Object) -> bool:
    """Whether a service has been asked to restart its predictor since, and no other part of it."""
    field = ("spec", "predictor", "annotations", "mlops.dev/restarted-at")
    return dig(service, field) not in (None, dig(before, field)) and not annotations_of(service)


RECREATE = {"type": "Recreate", "rollingUpdate": None}
RELOAD = {"example.com/reload": "true"}
GALLERY = {
    "reloader": (
        Reaction("its first evaluation restarts nothing", (
            ("POST", f"{CORE}/configmaps", made("settings", labels=RELOAD, data={"color": "red"})),
            ("POST", f"{CORE}/secrets", made("password", labels=RELOAD, data={"p": "b25l"})),
            ("POST", f"{APPS}/deployments", deployment("web", labels=RELOAD)),
        ), WEB, lambda _, web: "example.com/content" in annotations_of(web) and content(web) == ""),
        Reaction("a ConfigMap restarts the pods", (("PATCH", f"{CORE}/configmaps/settings", {"data": {"color": "blue"}}),),
                 WEB, lambda _, web: content(web) != ""),
        Reaction("a Secret restarts the pods", (("PATCH", f"{CORE}/secrets/password", {"data": {"p": "dHdv"}}),),
                 WEB, lambda before, web: content(web) != content(before)),
    ),
    "janitor": (
        Reaction("a Deployment goes", (
            ("POST", f"{APPS}/deployments", deployment("preview")),
            ("PATCH", f"{APPS}/deployments/preview", {"metadata": {"annotations": {"example.com/ttl": "0s"}}}),
        ), f"{APPS}/deployments/preview", lambda _, preview: not preview),
        Reaction("a time that cannot be read is reported", (
            ("POST", f"{APPS}/deployments", deployment("other", annotations={"example.com/ttl": "1 week"})),
        ), f"{CORE}/events", reported("InvalidTtl")),
    ),
    "node-quarantine": (
        Reaction("a Node is cordoned", (("POST", NODE, made("worker")), deadlock("True")), f"{NODE}/worker",
                 lambda _, node: node["spec"].get("unschedulable") is True, SHORT),
        Reaction("and uncordoned", (deadlock("False"),), f"{NODE}/worker",
                 lambda _, node: "unschedulable" not in node["spec"] and not annotations_of(node).get("example.com/quarantined"),
                 SHORT),
        Reaction("a second time too", (deadlock("True"),), f"{NODE}/worker",
                 lambda _, node: node["spec"].get("unschedulable") is True, SHORT),
    ),
    "namespace-setup": (
        Reaction("a Namespace gets its three objects", (
            ("POST", "/api/v1/namespaces", made("shop", labels={"example.com/team": "web"})),
        ), "/apis/networking.k8s.io/v1/namespaces/shop/networkpolicies/team", lambda _, policy: policy),
        Reaction("what is deleted comes back", (("DELETE", "/api/v1/namespaces/shop/resourcequotas/team", {}),),
                 "/api/v1/namespaces/shop/resourcequotas/team",
                 lambda before, quota: quota and quota["metadata"]["uid"] != before["metadata"]["uid"]),
    ),
    "secret-sync": (
        Reaction("a Secret is copied into a namespace with the label", (
            ("POST", "/api/v1/namespaces", made("shared-secrets")),
            ("POST", "/api/v1/namespaces", made("copies", labels={"example.com/sync": "registry"})),
            ("POST", "/api/v1/namespaces/shared-secrets/secrets", made(
                "pull", labels={"example.com/sync": "registry"}, type="Opaque", data={"token": "b25l"})),
        ), "/api/v1/namespaces/copies/secrets/pull", lambda _, copy: copy),
        Reaction("the copy goes with the label", (
            ("PATCH", "/api/v1/namespaces/copies", {"metadata": {"labels": {"example.com/sync": None}}}),
        ), "/api/v1/namespaces/copies/secrets/pull", lambda _, copy: not copy),
    ),
    "pvc-watch": (
        Reaction("a claim that is pending is reported", (
            ("POST", CLAIM, made("data", spec={"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}})),
        ), f"{CORE}/events", reported("StillPending"), SHORT),
        Reaction("one that no pod uses is marked", (("PATCH", f"{CLAIM}/data/status", {"status": {"phase": "Bound"}}),),
                 f"{CLAIM}/data", lambda _, claim: "example.com/unused" in labels_of(claim), SHORT),
        Reaction("until a pod does", (("POST", f"{CORE}/pods", made("user", spec={
            "containers": [{"name": "main", "image": "example.com/web"}],
            "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
        })),), f"{CLAIM}/data", lambda _, claim: "example.com/unused" not in labels_of(claim)),
    ),
    "flux-after-tekton": (
        Reaction("a HelmRelease is reconciled", (
            ("POST", RELEASES, {"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease", **made(
                "web", spec={"interval": "1h", "chartRef": {"kind": "OCIRepository", "name": "web"}})}),
            ("POST", RUNS, pipeline_run("build", reconcile="HelmRelease/web")),
            ("PATCH", f"{RUNS}/build/status", succeeded),
        ), f"{RELEASES}/web", lambda _, web: "reconcile.fluxcd.io/requestedAt" in annotations_of(web)),
    ),
    "restart-after-run": (
        Reaction("a Job that completes restarts a Deployment", (
            ("POST", f"{APPS}/deployments", deployment("site")),
            ("POST", JOBS, made("train", annotations={"example.com/restart": "Deployment/site"}, spec={"template": {"spec": {
                "restartPolicy": "Never", "containers": [{"name": "main", "image": "example.com/train"}]}}})),
            ("PATCH", f"{JOBS}/train/status", completed),
        ), f"{APPS}/deployments/site",
                 lambda _, site: "kubectl.kubernetes.io/restartedAt" in annotations_of(site["spec"]["template"])),
        Reaction("a Workflow that succeeds restarts an InferenceService", (
            ("POST", SERVICES, service("fraud")),
            ("POST", WORKFLOWS, {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow", **made(
                "train", annotations={"example.com/restart": "InferenceService/fraud"}, spec={"entrypoint": "main"})}),
            ("PATCH", f"{WORKFLOWS}/train", lambda: {"status": {"phase": "Succeeded", "finishedAt": now()}}),
        ), f"{SERVICES}/fraud", loaded),
        Reaction("a PipelineRun that succeeds does so too", (
            ("POST", RUNS, pipeline_run("train", restart="InferenceService/fraud")),
            ("PATCH", f"{RUNS}/train/status", succeeded),
        ), f"{SERVICES}/fraud", loaded),
        Reaction("a service that would be left without a pod is reported", (
            ("POST", f"{APPS}/deployments", deployment("fraud-predictor")),
            ("PATCH", f"{APPS}/deployments/fraud-predictor", {"spec": {"replicas": 1, "strategy": RECREATE}}),
            ("POST", RUNS, pipeline_run("again", restart="InferenceService/fraud")),
            ("PATCH", f"{RUNS}/again/status", succeeded),
        ), f"{CORE}/events", reported("RestartRefused")),
    ),
    "model-version": (
        Reaction("a notebook that succeeds has its model served", (
            ("POST", SERVICES, service("spam")),
            training("train", "pvc://models/spam/2"),
            trained("train"),
        ), f"{SERVICES}/spam", lambda _, spam: spam["spec"]["predictor"]["model"] == {
            "modelFormat": {"name": "sklearn"}, "storageUri": "pvc://models/spam/2"}),
        Reaction("a model from elsewhere is reported", (
            training("other", "s3://elsewhere/2"),
            trained("other"),
        ), f"{CORE}/events", reported("ModelRefused")),
    ),
    "scale-by-count": (
        Reaction("tasks scale it up", (
            ("POST", f"{APPS}/deployments", deployment("worker", labels={"example.com/scale-by-tasks": ""},
                                                      annotations={"example.com/scale-limits": "{tasksEach: 1}"})),
            *(("POST", f"{CORE}/configmaps", made(f"task-{number}", labels={"example.com/task-for": "worker"}))
              for number in range(3)),
        ), f"{APPS}/deployments/worker", lambda _, worker: worker["spec"]["replicas"] == 3, SHORT),
        Reaction("fewer scale it down", (("DELETE", f"{CORE}/configmaps/task-0", {}),),
                 f"{APPS}/deployments/worker", lambda _, worker: worker["spec"]["replicas"] == 2),
    ),
}  # fmt: skip
