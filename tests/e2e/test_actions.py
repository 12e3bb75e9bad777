"""The actions that config/argocd adds to Argo CD's UI, in Argo CD's own Lua VM."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from engine.model.objects import Object
from tests.e2e.argocd import ArgoCD
from tests.world import SERVICE, job, named, trigger, triggers

TRIGGERS = triggers(trigger(SERVICE, "model", "restart"))
PREDICTOR = named(SERVICE, "model", spec={"predictor": {"model": {"modelFormat": {"name": "sklearn"}}}})
TIME = r'"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"'


@pytest.fixture(scope="module")
def settings(argocd: ArgoCD, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The path of argocd-cm as config/argocd makes it."""
    path = tmp_path_factory.mktemp("actions") / "argocd-cm.yaml"
    (config_map,) = (obj for obj in argocd.configuration() if obj["metadata"]["name"] == "argocd-cm")
    path.write_text(yaml.safe_dump(config_map))
    return path


def manifest(folder: Path, obj: Object) -> Path:
    path = folder / "object.yaml"
    path.write_text(yaml.safe_dump(obj))
    return path


@pytest.mark.parametrize(
    ("obj", "action", "disabled"),
    [
        (job(phase="Succeeded", annotations=TRIGGERS), "restart-dependents", "false"),
        (job(phase="Failed", annotations=TRIGGERS), "restart-dependents", "true"),
        (job(phase="Succeeded"), "restart-dependents", "true"),
        ({**job(), "status": None}, "restart-dependents", "true"),
        (PREDICTOR, "restart-model-server", "false"),
        (named(SERVICE, "model"), "restart-model-server", "true"),
    ],
)
def test_an_action_is_offered_where_it_can_do_something(
    argocd: ArgoCD, settings: Path, tmp_path: Path, obj: Object, action: str, disabled: str
) -> None:
    """A job that has succeeded and triggers something; a service that has a predictor. No object makes the script fail."""
    command = ("admin", "settings", "resource-overrides", "list-actions", manifest(tmp_path, obj), "--argocd-cm-path", settings)
    assert argocd.argocd(*command).split() == ["NAME", "DISABLED", action, disabled]


@pytest.mark.parametrize(
    ("obj", "action", "change"),
    [
        (job(phase="Succeeded"), "restart-dependents", f"mlops.dev/retrigger: {TIME}"),
        (job(phase="Succeeded", annotations=TRIGGERS), "restart-dependents", f"mlops.dev/retrigger: {TIME}"),
        (PREDICTOR, "restart-model-server", f"kubectl.kubernetes.io/restartedAt: {TIME}"),
    ],
)
def test_an_action_sets_one_annotation(
    argocd: ArgoCD, settings: Path, tmp_path: Path, obj: Object, action: str, change: str
) -> None:
    """The time, in UTC, and nothing else changes."""
    path = manifest(tmp_path, obj)
    printed = argocd.argocd("admin", "settings", "resource-overrides", "run-action", path, action, "--argocd-cm-path", settings)
    changed = [line[2:].strip() for line in printed.splitlines() if line.startswith(("> ", "< "))]
    assert [line for line in changed if line not in ("annotations:", "annotations: {}") and not re.fullmatch(change, line)] == []
    assert any(re.fullmatch(change, line) for line in changed)
