"""Scenario g: a failed notebook reaches people by Argo CD's own notifications."""

from __future__ import annotations

from engine.model.objects import annotations_of, metadata
from tests.e2e.argocd import ArgoCD
from tests.e2e.cluster import Cluster, eventually, now
from tests.e2e.engine import Engine
from tests.e2e.webhook import Webhook
from tests.world import APPLICATION, JOB, job

SUBSCRIPTION = "notifications.argoproj.io/subscribe.notebook-validation-failed.notebook-failures"


def failed() -> dict[str, object]:
    """The status of a job that has failed just now."""
    return {"phase": "Failed", "completionTime": now(), "retryCount": 3, "message": "cell 3: no module named model"}


def test_each_failure_is_delivered_once(argocd: ArgoCD, cluster: Cluster, stopped_engine: Engine) -> None:
    """The webhook hears of a failure once, and of a second one on the same commit too."""
    name = cluster.namespace
    repository = argocd.repository(name)
    revision = repository.commit({"jobs.yaml": [job(one, namespace=cluster.namespace) for one in ("first", "second")]})
    argocd.application(name, repository, cluster.namespace)
    with Webhook() as webhook:
        service = f"url: {webhook.url}\nheaders:\n- {{name: Content-Type, value: application/json}}\n"
        with argocd.changed("argocd-notifications-cm", {"service.webhook.notebook-failures": service}):
            argocd.cluster.patch(APPLICATION, name, {"metadata": {"annotations": {SUBSCRIPTION: ""}}})
            argocd.sync(name)

            cluster.status(JOB, "first", failed())
            stopped_engine.start()
            eventually(lambda: len(webhook.received) == 1, "first delivery")
            cluster.status(JOB, "second", failed())
            eventually(lambda: len(webhook.received) == 2, "second delivery", patience=90)

    first, second = webhook.received
    assert (first["application"], first["state"], first["status"]["failedJobs"]) == (name, "Failed", ["first"])
    assert (second["status"]["failedJobs"], second["summary"]) == (["first", "second"], "0/2 succeeded (0.00% success rate)")
    assert first["failureId"] != second["failureId"]
    assert argocd.get(name)["status"]["sync"]["revision"] == revision
    assert [reason for reason, _ in cluster.events("first")] == ["ValidationFailed"]
    assert annotations_of(argocd.get(name))["mlops.dev/failure-id"].endswith(metadata(cluster.get(JOB, "second"))["uid"])
