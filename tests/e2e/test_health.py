"""Scenario c: what the health script says of a job, in Argo CD's own Lua VM."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.model.objects import Kind, Object
from engine.packs.rbac import RULE_LIBRARY, RULE_PACK
from tests.e2e.argocd import ArgoCD
from tests.world import DONE, SERVICE, job, named

STARTING = ("Progressing", "Initializing notebook validation")
CASES: dict[str, tuple[dict[str, Any], tuple[str, str]]] = {
    "no status": ({}, STARTING),
    "status null": ({"status": None}, STARTING),
    "status a text": ({"status": "Succeeded"}, STARTING),
    "status a list": ({"status": ["Succeeded"]}, STARTING),
    "no phase": ({"status": {"message": "hello"}}, STARTING),
    "phase null": ({"status": {"phase": None}}, STARTING),
    "phase a mapping": ({"status": {"phase": {"is": "Succeeded"}}}, STARTING),
    "phase a number": ({"status": {"phase": 7}}, ("Progressing", "Phase: 7")),
    "phase unknown": ({"status": {"phase": "Dreaming"}}, ("Progressing", "Phase: Dreaming")),
    "Initializing": ({"status": {"phase": "Initializing"}}, ("Progressing", "Initializing...")),
    "Pending": ({"status": {"phase": "Pending"}}, ("Progressing", "Initializing...")),
    "Running": ({"status": {"phase": "Running"}}, ("Progressing", "Validating notebook...")),
    "phase empty": ({"status": {"phase": ""}}, STARTING),
    "Failed with a long message": (
        {"status": {"phase": "Failed", "message": "x" * 1001}},
        ("Degraded", "Notebook validation failed; status.message says why, in 1001 characters"),
    ),
    "Failed with a long message and a short reason": (
        {
            "metadata": {"name": "train", "annotations": {"mlops.dev/failure-reason": "MemoryError"}},
            "status": {"phase": "Failed", "message": "x" * 1001},
        },
        ("Degraded", "MemoryError"),
    ),
    "Failed to build": (
        {"status": {"phase": "Failed", "message": "Unknown phase", "buildStatus": {"phase": "Failed", "message": "no base"}}},
        ("Degraded", "no base"),
    ),
    "Building": ({"status": {"phase": "Building"}}, ("Progressing", "Building validation environment")),
    "BuildComplete": ({"status": {"phase": "BuildComplete"}}, ("Progressing", "Building validation environment")),
    "ValidationRunning": ({"status": {"phase": "ValidationRunning"}}, ("Progressing", "Validating notebook...")),
    "ValidationRunning in a pod": (
        {"status": {"phase": "ValidationRunning", "validationPodName": "train-pod"}},
        ("Progressing", "Validating notebook... (pod: train-pod)"),
    ),
    "Succeeded": ({"status": {"phase": "Succeeded"}}, ("Healthy", "Notebook validation succeeded")),
    "Succeeded with a time": (
        {"status": {"phase": "Succeeded", "completionTime": DONE}},
        ("Healthy", f"Notebook validation succeeded at {DONE}"),
    ),
    "Succeeded with an odd time": (
        {"status": {"phase": "Succeeded", "completionTime": ["then"]}},
        ("Healthy", "Notebook validation succeeded"),
    ),
    "Failed": ({"status": {"phase": "Failed"}}, ("Degraded", "Notebook validation failed")),
    "Failed with a message": (
        {"status": {"phase": "Failed", "message": "cell 3 failed", "retryCount": 3}},
        ("Degraded", "cell 3 failed (retry 3/3)"),
    ),
    "Failed before any retry": (
        {"status": {"phase": "Failed", "message": "no image", "retryCount": 0}},
        ("Degraded", "no image (retry 0/3)"),
    ),
    "Failed with nulls": (
        {"status": {"phase": "Failed", "message": None, "retryCount": None}},
        ("Degraded", "Notebook validation failed"),
    ),
    "Failed with odd types": (
        {"status": {"phase": "Failed", "message": {"text": "cell 3"}, "retryCount": {"of": 3}}},
        ("Degraded", "Notebook validation failed"),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_health_of_a_job(argocd: ArgoCD, settings: Path, tmp_path: Path, case: str) -> None:
    """Status and message are those of ADR-048, and no field can make the script fail."""
    fields, expected = CASES[case]
    trained: Object = {**job(), **fields}
    manifest = tmp_path / "job.yaml"
    manifest.write_text(yaml.safe_dump(trained))

    printed = argocd.argocd("admin", "settings", "resource-overrides", "health", manifest, "--argocd-cm-path", settings)

    status, message = expected
    assert printed == f"STATUS: {status}\nMESSAGE: {message}\n"


READY = [{"type": kind, "status": "True"} for kind in ("PredictorReady", "Ready")]
RUNNING = {"type": "Stopped", "status": "False"}
MODELS: dict[str, tuple[dict[str, Any], str]] = {
    "no status": ({}, "Progressing"),
    "ready, of KServe 0.16": ({"conditions": [*READY, RUNNING], "modelStatus": {"transitionStatus": "UpToDate"}}, "Healthy"),
    "stopped": ({"conditions": [*READY, {"type": "Stopped", "status": "True"}]}, "Suspended"),
    "rolling out": ({"conditions": [{"type": "Ready", "status": "Unknown"}, RUNNING]}, "Progressing"),
    "loading": ({"conditions": READY, "modelStatus": {"transitionStatus": "InProgress"}}, "Progressing"),
    "not to be loaded": ({"conditions": READY, "modelStatus": {"transitionStatus": "BlockedByFailedLoad"}}, "Degraded"),
    "odd": ({"conditions": "none", "modelStatus": []}, "Progressing"),
}


@pytest.mark.parametrize("case", MODELS)
def test_health_of_an_inference_service(argocd: ArgoCD, settings: Path, tmp_path: Path, case: str) -> None:
    """A service of KServe 0.16 is Healthy, also beside Argo CD 3.2, whose own script never says so."""
    status, expected = MODELS[case]
    manifest = tmp_path / "service.yaml"
    manifest.write_text(yaml.safe_dump(named(SERVICE, "model", status=status)))

    printed = argocd.argocd("admin", "settings", "resource-overrides", "health", manifest, "--argocd-cm-path", settings)

    assert printed.startswith(f"STATUS: {expected}\n")


def rulepack(*conditions: tuple[str, str, str, str], observed: int = 2) -> dict[str, Any]:
    """The status of a RulePack of generation 2: type, status, reason and message of each condition."""
    keys = ("type", "status", "reason", "message")
    return {"observedGeneration": observed, "conditions": [dict(zip(keys, each, strict=True)) for each in conditions]}


IN_FORCE = ("Ready", "True", "InForce", "the pack is in force, and acts")
RULEPACKS: dict[str, tuple[Any, tuple[str, str]]] = {
    "no status": (None, ("Progressing", "The operator has not read it yet")),
    "status a text": ("Ready", ("Progressing", "The operator has not read it yet")),
    "of an earlier generation": (rulepack(IN_FORCE, observed=1), ("Progressing", "The operator has not read it yet")),
    "in force": (rulepack(IN_FORCE, ("Stalled", "False", "Progressing", "-")), ("Healthy", "the pack is in force, and acts")),
    "disabled": (rulepack(("Ready", "True", "Disabled", "the pack is disabled")), ("Healthy", "the pack is disabled")),
    "refused": (
        rulepack(("Accepted", "False", "Invalid", "spec.rules[0].wehn: unknown key"), ("Stalled", "True", "Invalid", "-")),
        ("Degraded", "spec.rules[0].wehn: unknown key"),
    ),
    "waiting": (
        rulepack(("Ready", "False", "WaitingForKind", "Gadget cannot be listed"), ("Stalled", "False", "Progressing", "-")),
        ("Progressing", "Gadget cannot be listed"),
    ),
    "before its library": (
        rulepack(
            ("Accepted", "False", "LibraryMissing", "spec.rules[0].when: unknown function"),
            ("Ready", "False", "LibraryMissing", "it waits for library 'texts'"),
            ("Stalled", "False", "LibraryMissing", "-"),
        ),
        ("Progressing", "it waits for library 'texts'"),
    ),
    "suspended": (rulepack(("Ready", "False", "Suspended", "the budget is spent")), ("Suspended", "the budget is spent")),
    "odd": ({"observedGeneration": 2, "conditions": ["Ready", {"type": 3}]}, ("Progressing", "Waiting for the condition Ready")),
}


@pytest.mark.parametrize("kind", [RULE_PACK, RULE_LIBRARY], ids=lambda kind: kind.kind)
@pytest.mark.parametrize("case", RULEPACKS)
def test_health_of_a_rulepack_or_library(argocd: ArgoCD, settings: Path, tmp_path: Path, case: str, kind: Kind) -> None:
    """As kstatus reads it: Stalled is Degraded, and nothing counts before the operator has read the generation."""
    status, (health, message) = RULEPACKS[case]
    manifest = tmp_path / "rulepack.yaml"
    fields = {} if status is None else {"status": status}
    body = named(kind, "team", **fields)
    manifest.write_text(yaml.safe_dump({**body, "metadata": {**body["metadata"], "generation": 2}}))

    printed = argocd.argocd("admin", "settings", "resource-overrides", "health", manifest, "--argocd-cm-path", settings)

    assert printed == f"STATUS: {health}\nMESSAGE: {message}\n"
