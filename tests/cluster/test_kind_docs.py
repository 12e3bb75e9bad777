"""docs/rulepacks.md: its commands, run in order by a real kubectl, print what it shows."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.cluster.conftest import RulePacks
from tests.e2e.cluster import eventually
from tests.e2e.transcript import Step, play
from tests.world import RULES


def test_each_command_prints_what_the_document_shows(rulepacks: RulePacks, tmp_path: Path) -> None:
    """The operator's namespace has another name here."""
    eventually(lambda: rulepacks.find("validation-metrics").get("status"), "status of the last shipped pack")

    def written(step: Step) -> None:
        if "kubectl describe" in step.command or "kubectl rulepack" in step.command:
            rulepacks.status("team")

    try:
        assert play(rulepacks.kubectl, tmp_path, written) >= 11
    finally:
        rulepacks.kubectl.run("delete", "clusterrole,clusterrolebinding", "rulepack:team")  # these live in no namespace


def test_kubectl_finds_the_plugin(rulepacks: RulePacks) -> None:
    """Each subcommand is there under kubectl's name; those that need no cluster work without one."""
    kubectl = rulepacks.kubectl
    kubectl.environment["PATH"] = f"{Path(sys.executable).parent}:{kubectl.environment['PATH']}"
    shipped = str(RULES / "sync-waves")

    listed = kubectl("plugin", "list")
    helped = {name: kubectl.plain("rulepack", name, "--help") for name in ("lint", "test", "explain", "rbac", "get", "export")}

    assert str(Path(sys.executable).parent / "kubectl-rulepack") in listed
    assert all(text.startswith(f"Usage: kubectl rulepack {name} ") for name, text in helped.items())
    assert kubectl.plain("rulepack", "lint", shipped) == "1 pack: no faults\n"
    assert "passed" in kubectl.plain("rulepack", "test", shipped)
    assert "kind: ClusterRole" in kubectl.plain("rulepack", "rbac", shipped)


def test_the_plugin_takes_its_flags_before_the_verb(rulepacks: RulePacks) -> None:
    """As kubectl's own commands do."""
    kubectl, own = rulepacks.kubectl, rulepacks.engine.own
    kubectl.environment["PATH"] = f"{Path(sys.executable).parent}:{kubectl.environment['PATH']}"
    rulepacks.status("sync-waves")

    after = kubectl.plain("rulepack", "get", "sync-waves", "-n", own)
    before = [kubectl.plain("rulepack", flag, "get", "sync-waves") for flag in (f"-n{own}", f"--namespace={own}")]
    exported = [kubectl.plain("rulepack", *arguments) for arguments in (("-n", own, "export"), ("export", "-n", own))]

    assert [each.split()[:12] for each in before] == [after.split()[:12]] * 2
    assert exported[0] == exported[1]


def test_get_says_why_a_pack_is_not_ready(rulepacks: RulePacks) -> None:
    kubectl = rulepacks.kubectl
    kubectl.environment["PATH"] = f"{Path(sys.executable).parent}:{kubectl.environment['PATH']}"
    kubectl("apply", "-f", "-", given="apiVersion: rules.mlops.dev/v1alpha1\nkind: RulePack\nmetadata: {name: why}\n"
            "spec: {watch: {apiVersion: v1, kind: Pod}, rules: [{name: a, actions: [{labl: 3}]}]}\n")  # fmt: skip
    rulepacks.status("why")

    shown = kubectl.plain("rulepack", "get", "why").splitlines()
    missing = kubectl.run("rulepack", "get", "wyh", plain=True)
    several = kubectl.run("rulepack", "get", "rp/why", "wyh", "sync-waves", plain=True)

    assert shown[1].split() == [rulepacks.engine.own, "why", "-", "False", "-", "-", "-", "-", "-"]
    assert shown[2:] == [
        "    it is not accepted; nothing is in force",
        "    spec.rules[0].actions[0].labl: unknown action 'labl'; expected 'label' (did you mean that?)",
    ]
    assert (missing.returncode, missing.stderr.splitlines()[0]) == (
        1, "Error: there is no RulePack or RuleLibrary 'wyh' in any namespace; expected 'why' (did you mean that?)",
    )  # fmt: skip
    assert {line.split()[1] for line in several.stdout.splitlines() if line[0] != " "} == {"NAME", "why", "sync-waves"}
    errors = [line for line in several.stderr.splitlines(keepends=True) if not line.startswith("Warning: no operator runs in")]
    assert (several.returncode, "".join(errors)) == (1, missing.stderr)
