"""RulePacks of an operator that OLM has installed: kubectl writes and reads them, pods of its Deployment have them in force."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from engine.model.objects import Object, annotations_of
from engine.packs.sources import load_folder, shipped_rules
from tests.controlplane.kubectl import Kubectl
from tests.e2e.cluster import Cluster, eventually
from tests.e2e.pod import Pod
from tests.e2e.transcript import Step
from tests.world import JOB, RULES, job

DEFINITION = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/rulepacks.rules.mlops.dev"
LIBRARIES = DEFINITION.replace("rulepacks", "rulelibraries")
MARK = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: mark}
spec:
  watch: {apiVersion: mlops.mlops.dev/v1alpha1, kind: NotebookValidationJob}
  rules:
    - name: mark
      when: label(object, 'example.com/team') != ''
      actions:
        - annotate: {annotations: {example.com/by: first}}
"""
LIBRARY = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RuleLibrary
metadata: {name: teams}
spec:
  functions:
    known:
      description: Whether an object says which team it is of.
      parameters:
        - {name: object, type: map}
      returns: bool
      expression: label(object, 'example.com/team') != ''
"""
CALLING = MARK.replace("label(object, 'example.com/team') != ''", "teams.known(object)").replace("first", "library")
MISSPELT = MARK.replace("when:", "wehn:")
SHIPPED = sorted(pack.parent.name for pack in RULES.glob("*/pack.yaml"))


def files() -> list[Path]:
    """Every file of this project that has a RulePack of kubectl's in it."""
    return [
        Path(text.file)
        for text in load_folder([shipped_rules(), RULES.parent / "examples", RULES.parent / "config" / "samples"])
        if any(isinstance(each, dict) and each.get("kind") == "RulePack" for each in yaml.safe_load_all(text.text))
    ]


class RulePackUser:
    """Somebody who edits RulePack `mark` with kubectl, and makes jobs in a namespace to see what becomes of them."""

    def __init__(self, kubectl: Kubectl, jobs: Cluster) -> None:
        self._kubectl, self._jobs = kubectl, jobs

    def applies(self, text: str) -> None:
        """Apply a version of the pack."""
        self._kubectl("apply", "-f", "-", given=text)

    def faults_of(self, file: Path) -> list[Any]:
        """Apply a file with strict validation, and delete what it made: the faults that the operator has found in its packs.

        What has the name of a shipped pack replaces the reference to it, as docs/rulepacks.md says.
        """
        names = [each["metadata"]["name"] for each in yaml.safe_load_all(file.read_text()) if each["kind"] == "RulePack"]
        command = "replace" if {*names} & {*SHIPPED} else "apply"
        if command == "replace":
            eventually(lambda: {*names} <= self.listed().keys(), f"references to {names}")
        self._kubectl(command, "--validate=strict", "-f", str(file))
        found = [fault for name in names for fault in self.status(name).get("faults", [])]
        self._kubectl("delete", "-f", str(file))
        return found

    def before(self, step: Step) -> None:
        """Wait for what a command of the document shows."""
        if "kubectl describe" in step.command or "kubectl rulepack" in step.command:
            self.status("team")

    def waits_for(self, state: str, name: str = "mark", kind: str = "rp") -> None:
        """Wait for a condition, or for what a path in the status holds."""
        self._kubectl("wait", f"--for={state}", f"{kind}/{name}", "--timeout=60s")

    def reads_of_ready(self, message: str) -> None:
        """Wait until the condition Ready has a message."""
        self.waits_for(f"jsonpath={{.status.conditions[?(@.type=='Ready')].message}}={message}")

    def status(self, name: str) -> dict[str, Any]:
        """Return the status of a RulePack, once it is about its spec as it is now."""

        def written() -> Any:
            found = json.loads(self._kubectl("get", "rp", name, "-o", "json"))
            status = found.get("status", {})
            return status.get("observedGeneration") == found["metadata"]["generation"] and status

        status: dict[str, Any] = eventually(written, f"status of RulePack {name}")
        return status

    def listed(self) -> dict[str, list[str]]:
        """Return what `kubectl get rp -A` shows in the operator's namespace: the columns of each name but its age."""
        rows = [line.split() for line in self._kubectl.plain("get", "rp", "-A").splitlines()[1:]]
        return {name: columns[:-1] for namespace, name, *columns in rows if namespace == self._kubectl.namespace}

    def makes_job(self, name: str) -> None:
        """Create a job that the pack is about."""
        self._jobs.create(self._job(name))

    def finds_marked(self, name: str, word: str) -> None:
        """Wait until the pack has written a word on a job."""
        eventually(lambda: annotations_of(self._jobs.get(JOB, name)).get("example.com/by") == word, f"{word} on job {name}")

    def _job(self, name: str) -> Object:
        body = job(name, namespace=self._jobs.namespace)
        body["metadata"]["labels"] = {"example.com/team": "ml"}
        return body


def live(user: RulePackUser, leader: Pod, standby: Pod) -> None:
    """Create, edit, break and mend the pack while a replica takes over and the operator is restarted; two pods of one Deployment.

    The last good text stays until no process has it any more.
    """
    standby.start()
    user.applies(MARK)
    user.waits_for("condition=Ready")
    user.makes_job("one")
    user.finds_marked("one", "first")
    user.applies(MARK.replace("first", "edited"))
    user.finds_marked("one", "edited")
    user.applies(MISSPELT)
    user.reads_of_ready("it is not accepted; the last good text, generation 2, stays in force")
    assert [fault["path"] for fault in user.status("mark")["faults"]] == ["spec.rules[0].wehn"]

    assert leader.stop() == 0
    user.makes_job("taken-over")
    user.finds_marked("taken-over", "edited")
    fired = user.status("mark")["fired"]

    assert standby.stop() == 0
    leader.start()
    user.reads_of_ready("it is not accepted; nothing is in force")
    user.makes_job("restarted")
    user.applies(MARK.replace("first", "mended"))
    user.finds_marked("restarted", "mended")
    user.waits_for("condition=Ready")
    assert user.status("mark")["generationInForce"] == 4
    eventually(lambda: user.status("mark")["fired"] > fired, "counts that went on")
    live_with_library(user)


def live_with_library(user: RulePackUser) -> None:
    """Have the pack call a function of a RuleLibrary, which breaks and goes: the pack does what it did."""
    user.applies(CALLING)
    user.waits_for("condition=Accepted=false")
    user.applies(LIBRARY)
    user.waits_for("jsonpath={.status.packs[0]}=mark", "teams", "rl")
    user.waits_for("condition=Ready", "teams", "rl")
    user.makes_job("by-library")
    user.finds_marked("by-library", "library")
    user.applies(LIBRARY.replace("returns:", "retruns:"))
    user.waits_for("jsonpath={.status.faults[0].path}=spec.functions.known.retruns", "teams", "rl")
    user.makes_job("by-last-good-library")
    user.finds_marked("by-last-good-library", "library")
