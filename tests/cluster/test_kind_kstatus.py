"""What kstatus, by which Flux and others wait, says of RulePacks on a real kube-apiserver."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from engine.model.objects import dig
from tests.cluster.conftest import RulePacks
from tests.cluster.test_kind_kubectl import misspelt, pack
from tests.controlplane import kstatus as build
from tests.controlplane.gobuild import MissingProgram, Say
from tests.controlplane.kstatus import kstatus
from tests.e2e.cluster import eventually


@pytest.fixture(scope="session")
def program(say: Say) -> Path:
    """kstatus; where there is no way to have it the whole run ends with an error, as in `control_plane`."""
    try:
        return build.program(say)
    except MissingProgram as missing:
        pytest.exit(str(missing), returncode=pytest.ExitCode.INTERNAL_ERROR)


GADGET = pack("waiting").replace("apiVersion: v1, kind: ConfigMap", "apiVersion: example.com/v1, kind: Gadget")
EARLY = pack("early").replace("'early' in object.data", "nothere.holds(object)")
DISABLED = pack("disabled").replace("  watch", "  mode: Disabled\n  watch")


@pytest.mark.parametrize(
    ("name", "text", "reason", "expected"),
    [
        ("in-force", pack("in-force"), "InForce", "Current"),
        ("disabled", DISABLED, "Disabled", "Current"),
        ("refused", misspelt("refused"), "Invalid", "Failed"),
        ("waiting", GADGET, "WaitingForKind", "InProgress"),
        ("early", EARLY, "LibraryMissing", "InProgress"),
    ],
)
def test_kstatus_reads_the_conditions(
    rulepacks: RulePacks, program: Path, name: str, text: str, reason: str, expected: str
) -> None:
    rulepacks.kubectl("apply", "-f", "-", given=text)
    eventually(lambda: rulepacks.condition(name, "Ready")[1] == reason, f"reason {reason}")

    assert kstatus(program, rulepacks.find(name)) == expected


def test_a_generation_that_was_not_read_yet_is_in_progress(rulepacks: RulePacks, program: Path) -> None:
    rulepacks.kubectl("apply", "-f", "-", given=pack("read"))
    rulepacks.kubectl("wait", "--for=condition=Ready", "rp/read", "--timeout=60s")
    found = rulepacks.find("read")
    newer = {**found, "metadata": {**found["metadata"], "generation": dig(found, ("metadata", "generation"), 0) + 1}}

    assert (kstatus(program, found), kstatus(program, newer)) == ("Current", "InProgress")


SPENDING = (
    pack("spending")
    .replace("annotate: {annotations: {example.com/spending: 'yes'}}", "patch: {patch: {data: {spending: done}}}")
    .replace("'spending' in object.data", "get(object.data, 'spending', '') == 'x'")
    .replace("  rules", "  targets: [{apiVersion: v1, kind: ConfigMap, verbs: [get, patch]}]\n  rules")
)


def test_a_pack_whose_budget_is_spent_is_suspended_until_somebody_resumes_it(rulepacks: RulePacks, program: Path) -> None:
    """The message of Ready has what to type; typed as it stands, it has the pack go on."""
    kubectl = rulepacks.kubectl
    kubectl("create", "configmap", "rulepack-params", "--from-literal=spending=disruptionsPerMinute: 4")
    kubectl("apply", "-f", "-", given=SPENDING)
    kubectl("wait", "--for=condition=Ready", "rp/spending", "--timeout=60s")
    for number in range(6):
        kubectl("create", "configmap", f"spent-{number}", "-n", rulepacks.watched, "--from-literal=spending=x")
    eventually(lambda: rulepacks.condition("spending", "Ready")[1] == "Suspended", "suspension")
    status, _, message = rulepacks.condition("spending", "Ready")
    columns, state = kubectl("get", "rp", "spending").splitlines()[1].split()[:4], kstatus(program, rulepacks.find("spending"))
    (rule,) = rulepacks.status("spending")["parts"][0]["rules"]

    spent, _, command = message.partition("; to go on: ")
    command = command.partition(" (where there is none, first: ")[0]
    subprocess.run(["sh", "-c", command], env=kubectl.environment, check=True, capture_output=True)
    kubectl("wait", "--for=condition=Ready", "rp/spending", "--timeout=120s")
    eventually(lambda: rulepacks.find("spending")["status"]["fired"] == 6, "all that was kept back", 120)
    kubectl("delete", "configmap", "rulepack-params")
    kubectl("delete", "rp", "spending")

    assert (status, spent) == ("False", f"the budget is spent for namespace {rulepacks.watched}")
    assert columns == ["spending", "Enforce", "1", "False"]
    assert rule["suspended"] == [rulepacks.watched]
    assert state == "InProgress"
