"""Scenario g: a failed notebook reaches people by Argo CD's own notifications."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.model.objects import annotations_of, metadata
from tests.e2e.argocd import ArgoCD
from tests.e2e.cluster import Cluster, eventually, now
from tests.e2e.engine import Engine
from tests.e2e.webhook import Webhook
from tests.world import APPLICATION, JOB, job

SUBSCRIPTION = "notifications.argoproj.io/subscribe.notebook-validation-failed.notebook-failures"
ERROR = 'ModuleNotFoundError: No module named "model" <b>\\'
FAILURE = {
    "id": "x",
    "job": "train",
    "namespace": "ns",
    "reason": ERROR,
    "advice": 'Do "this"',
    "logs": "kubectl logs",
    "attempts": 2,
}
ANNOTATIONS = {
    "mlops.dev/failure-id": "2026-01-24T22:30:00Z/x",
    "mlops.dev/last-failure": json.dumps(FAILURE),
    "mlops.dev/notebook-status": '{"total":1}',
    "mlops.dev/notebook-summary": "0/1 succeeded",
    "mlops.dev/notebook-state": "Failed",
}


def failed(**fields: Any) -> dict[str, Any]:
    """The status of a job that has failed just now."""
    return {"phase": "Failed", "completionTime": now(), "retryCount": 3, "message": ERROR, "validationPodName": "pod", **fields}


def test_each_failure_is_delivered_once(argocd: ArgoCD, cluster: Cluster, stopped_engine: Engine) -> None:
    """By a webhook, on one commit: also two of one second, one without a time, one with a lower time, one replaced at once."""
    name = cluster.namespace
    repository = argocd.repository(name)
    names = ["first", "second", "third", "untimed", "older", "replaced"]
    revision = repository.commit({"jobs.yaml": [job(one, namespace=cluster.namespace) for one in names]})
    argocd.application(name, repository, cluster.namespace)
    with Webhook() as webhook:
        service = f"url: {webhook.url}\nheaders:\n- {{name: Content-Type, value: application/json}}\n"
        with argocd.changed("argocd-notifications-cm", {"service.webhook.notebook-failures": service}):
            argocd.cluster.patch(APPLICATION, name, {"metadata": {"annotations": {SUBSCRIPTION: ""}}})
            argocd.sync(name)

            cluster.status(JOB, "first", failed())
            stopped_engine.start()
            eventually(lambda: len(webhook.received) == 1, "first delivery")
            same = failed()
            for one in ("second", "third"):
                cluster.status(JOB, one, same)
            eventually(lambda: len(webhook.received) == 3, "deliveries of two failures of one second")
            cluster.status(JOB, "untimed", {"phase": "Failed", "message": ERROR})
            eventually(lambda: len(webhook.received) == 4, "delivery of a failure without a time")
            cluster.status(JOB, "older", failed(completionTime=f"{now()[:11]}00:00:00Z", retryCount=1))
            eventually(lambda: len(webhook.received) == 5, "delivery of a failure with a lower time")
            cluster.status(JOB, "replaced", failed())
            eventually(
                lambda: "mlops.dev/failure-reason" in annotations_of(cluster.get(JOB, "replaced")), "engine that has seen it"
            )
            uid = metadata(cluster.get(JOB, "replaced"))["uid"]
            cluster.delete(JOB, "replaced")
            cluster.create(job("replaced", namespace=cluster.namespace))
            eventually(lambda: len(webhook.received) == 6, "delivery of a failure whose job was replaced")

    assert sorted(each["job"] for each in webhook.received) == sorted(names)
    assert len({each["failureId"] for each in webhook.received}) == len(names)
    first, second = webhook.received[0], webhook.received[-2]
    assert (first["application"], first["state"], first["status"]["failedJobs"]) == (name, "Failed", ["first"])
    assert (first["reason"], first["logs"]) == (ERROR, f"kubectl logs -n {name} pod")
    assert first["advice"] == "Add the missing module to the notebook's image or requirements"
    assert second["summary"].startswith("0/6 succeeded")
    assert argocd.get(name)["status"]["sync"]["revision"] == revision
    assert [reason for reason, _ in cluster.events("first")] == ["ValidationFailed"]
    assert annotations_of(argocd.get(name))["mlops.dev/failure-id"].endswith(uid)


def rendered(argocd: ArgoCD, folder: Path, template: str, annotations: dict[str, str] | None) -> dict[str, Any]:
    """What Argo CD makes of a template for an Application with these annotations, without a destination."""
    application = folder / "application.yaml"
    about = {"name": "ml", **({} if annotations is None else {"annotations": annotations})}
    body = {"apiVersion": APPLICATION.api_version, "kind": APPLICATION.kind, "metadata": about, "spec": {}}
    application.write_text(yaml.safe_dump(body))
    config = Path("config/argocd/argocd-notifications-cm.yaml")
    command: list[str | Path] = ["admin", "notifications", "template", "notify", f"notebook-failure-{template}", application]
    found: dict[str, Any] = yaml.safe_load(argocd.argocd(*command, "--config-map", config, "--secret", ":empty"))
    return found


@pytest.mark.parametrize("left_out", [None, *ANNOTATIONS, "all"])
def test_each_message_is_whole_whatever_is_missing(argocd: ArgoCD, tmp_path: Path, left_out: str | None) -> None:
    """Every template gives valid JSON where it is JSON, and the Application; with all annotations, also why and what to do."""
    annotations = None if left_out == "all" else {key: value for key, value in ANNOTATIONS.items() if key != left_out}
    slack = rendered(argocd, tmp_path, "slack", annotations)
    teams = rendered(argocd, tmp_path, "teams", annotations)["teams"]
    email = rendered(argocd, tmp_path, "email", annotations)["email"]
    webhook = json.loads(rendered(argocd, tmp_path, "webhook", annotations)["webhook"]["notebook-failures"]["body"])
    (attachment,) = json.loads(slack["slack"]["attachments"])
    fields = {field["title"]: field["value"] for field in attachment["fields"]}
    facts = {fact["name"]: fact["value"] for fact in json.loads(teams["facts"])}
    assert all("ml" in text for text in (slack["message"], teams["title"], email["subject"], webhook["application"]))
    assert json.loads(teams["potentialAction"])[0]["targets"][0]["uri"].endswith("/ml")
    if left_out is None:
        assert (webhook["job"], webhook["reason"], webhook["advice"], webhook["status"]) == (
            "train",
            ERROR,
            'Do "this"',
            {"total": 1},
        )
        assert (fields["Job"], fields["Why"]) == ("ns/train", ERROR.replace("<", "&lt;").replace(">", "&gt;"))
        assert (facts["Job"], facts["What to do"], teams["text"]) == ("ns/train", 'Do "this"', ERROR)
        assert "train" in email["subject"]
        assert "<b>\\" not in email["body"]


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"text"', "7"])
def test_what_is_not_a_failure_hides_no_message(argocd: ArgoCD, tmp_path: Path, text: str) -> None:
    """Whatever somebody writes there: the message is sent, and JSON."""
    annotations = {**ANNOTATIONS, "mlops.dev/last-failure": text, "mlops.dev/notebook-status": text}
    body = json.loads(rendered(argocd, tmp_path, "webhook", annotations)["webhook"]["notebook-failures"]["body"])
    assert (body["application"], body["job"], body["failureId"]) == ("ml", "", "2026-01-24T22:30:00Z/x")
    json.loads(rendered(argocd, tmp_path, "slack", annotations)["slack"]["attachments"])
