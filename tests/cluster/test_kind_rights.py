"""A RulePack whose rights come one after the other: what its status counts and says meanwhile, and the commands that it names."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.chaos.outages import grant
from tests.cluster.conftest import RulePacks
from tests.e2e.cluster import eventually

PACK = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: limits}
spec:
  watch: {apiVersion: v1, kind: LimitRange}
  rules:
    - name: seen
      actions:
        - annotate: {annotations: {example.com/seen: 'yes'}}
    - name: once
      oncePer: object.metadata.uid
      actions:
        - annotate: {annotations: {example.com/once: 'yes'}}
"""
LIMITS = "apiVersion: v1\nkind: LimitRange\nmetadata: {name: %s}\nspec: {limits: [{type: Pod, max: {cpu: '1'}}]}\n"


def test_what_a_missing_right_keeps_undone_is_not_counted_as_done(rulepacks: RulePacks) -> None:
    """Neither the right to list nor the one to patch is there at first; what the messages say to type grants the latter."""
    kubectl, engine = rulepacks.kubectl, rulepacks.engine
    kubectl.environment["PATH"] = f"{Path(sys.executable).parent}:{kubectl.environment['PATH']}"
    for name in ("a", "b"):
        kubectl("apply", "-n", rulepacks.watched, "-f", "-", given=LIMITS % name)

    kubectl("apply", "-f", "-", given=PACK)
    eventually(lambda: rulepacks.condition("limits", "Ready")[1] == "MissingRight", "missing right to list")
    message = rulepacks.condition("limits", "Ready")[2]
    reading = [{"apiGroups": [""], "resources": ["limitranges"], "verbs": ["get", "list", "watch"]}]
    engine.bind("ClusterRole", f"{engine.own}-limits", reading)
    eventually(lambda: rulepacks.status("limits")["waiting"] == 4, "both rules that wait for both objects", 90)
    status, shown = rulepacks.status("limits"), kubectl.plain("rulepack", "get", "limits", "-A")
    events = json.loads(kubectl("get", "events", "-n", rulepacks.watched, "-o", "json"))["items"]
    told = [event["message"] for event in events if event["reason"] == "RuleWaiting"]

    assert message.endswith("rulepack rbac pack.yaml | kubectl apply -f -")
    assert (status["fired"], [rule["waitingFor"] for rule in status["parts"][0]["rules"]]) == (0, ["MissingRight"] * 2)
    assert "rule once waits for a missing right, for 2 objects, such as LimitRange" in shown
    assert sorted(text.partition(" since")[0] for text in told) == [
        f"Rule limits/{rule} waits with what it writes on this object" for rule in ("once", "once", "seen", "seen")
    ]

    grant(rulepacks.plane, told[0].partition("to grant it: ")[2].replace("NAME", "limits"))
    eventually(lambda: rulepacks.status("limits")["fired"] == 4, "firings that are written", 90)
    assert rulepacks.status("limits")["waiting"] == 0
