"""docs/rulepacks.md: its commands, run in order by a real kubectl, print what it shows."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.cluster.conftest import RulePacks
from tests.e2e.cluster import eventually
from tests.world import RULES

DOCUMENT = RULES.parent / "docs" / "rulepacks.md"


class Step(NamedTuple):
    """A command, and what the document says that it prints."""

    command: str
    output: str


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE)
    return [text for name, text in found if name == language]


def steps() -> list[Step]:
    """The commands of the document, in order."""
    parts = [part for block in blocks("console") for part in re.split(r"^\$ ", block, flags=re.MULTILINE) if part]
    return [Step(*part.split("\n", 1)) for part in parts]


def pattern(text: str) -> str:
    """What matches an output: ages are of this moment, columns as wide as names are, … stands for any lines."""
    lines = []
    for line in squeezed(text).splitlines():
        words = [r"\d+[ms]\S*" if re.fullmatch(r"\d+s", word) else re.escape(word) for word in line.split()]
        lines.append(r"(?s:.*)" if line == "…" else r"[ ]*" + r"[ ]+".join(words) + r"[ ]*\n")
    return "".join(lines)


def squeezed(text: str) -> str:
    """The lines of an output that are not blank."""
    return "".join(f"{line}\n" for line in text.splitlines() if line.strip())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files of the document."""
    for text in blocks("yaml"):
        name, _, content = text.partition("\n")
        (tmp_path / name.removeprefix("# ")).write_text(content)
    return tmp_path


def test_each_command_prints_what_the_document_shows(rulepacks: RulePacks, folder: Path) -> None:
    """The operator's namespace has another name here."""
    environment = rulepacks.kubectl.environment
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    eventually(lambda: rulepacks.find("validation-metrics").get("status"), "status of the last shipped pack")
    written = steps()

    for step in written:
        if "kubectl describe" in step.command or "kubectl rulepack" in step.command:
            rulepacks.status("team")
        command, output = (text.replace("rulepack-system", rulepacks.engine.own) for text in step)
        done = subprocess.run(
            ["bash", "-euc", command], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stderr
        assert re.fullmatch(pattern(output), squeezed(done.stdout)), f"{command} printed:\n{done.stdout}\nnot:\n{output}"
    assert len(written) >= 10


def test_kubectl_finds_the_plugin(rulepacks: RulePacks, folder: Path) -> None:
    """Each subcommand is there under kubectl's name; those that need no cluster work without one."""
    kubectl = rulepacks.kubectl
    kubectl.environment["PATH"] = f"{Path(sys.executable).parent}:{kubectl.environment['PATH']}"
    shipped = str(RULES / "sync-waves")

    listed = kubectl("plugin", "list")
    helped = {name: kubectl.plain("rulepack", name, "--help") for name in ("lint", "test", "explain", "rbac", "get")}

    assert str(Path(sys.executable).parent / "kubectl-rulepack") in listed
    assert all(text.startswith(f"Usage: kubectl rulepack {name} ") for name, text in helped.items())
    assert kubectl.plain("rulepack", "lint", shipped) == "1 pack: no faults\n"
    assert "passed" in kubectl.plain("rulepack", "test", shipped)
    assert "kind: ClusterRole" in kubectl.plain("rulepack", "rbac", shipped)


def test_get_says_why_a_pack_is_not_ready(rulepacks: RulePacks) -> None:
    kubectl = rulepacks.kubectl
    kubectl.environment["PATH"] = f"{Path(sys.executable).parent}:{kubectl.environment['PATH']}"
    kubectl("apply", "-f", "-", given="apiVersion: rules.mlops.dev/v1alpha1\nkind: RulePack\nmetadata: {name: why}\n"
            "spec: {watch: {apiVersion: v1, kind: Pod}, rules: [{name: a, actions: [{labl: 3}]}]}\n")  # fmt: skip
    rulepacks.status("why")

    shown = kubectl.plain("rulepack", "get", "why").splitlines()
    missing = kubectl.run("rulepack", "get", "wyh", plain=True)

    assert shown[1].split() == [rulepacks.engine.own, "why", "-", "False", "-", "-", "-", "-", "-"]
    assert shown[2:] == [
        "    it is not accepted; nothing is in force",
        "    spec.rules[0].actions[0].labl: unknown action 'labl'; expected 'label' (did you mean that?)",
    ]
    assert (missing.returncode, missing.stderr.splitlines()[0]) == (
        1, "Error: there is no RulePack 'wyh' in any namespace; expected 'why' (did you mean that?)",
    )  # fmt: skip
