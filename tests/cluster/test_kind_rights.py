"""A RulePack whose rights come one after the other: what its status counts and says meanwhile, and the commands that it names."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.chaos.outages import grant
from tests.cluster.conftest import RulePacks
from tests.e2e.cluster import eventually
from tests.e2e.engine import roles

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
    reported = [event["message"] for event in events if event["reason"] == "RuleWaiting"]

    assert message.endswith("rulepack rbac pack.yaml | kubectl apply -f -")
    assert (status["fired"], [rule["waitingFor"] for rule in status["parts"][0]["rules"]]) == (0, ["MissingRight"] * 2)
    assert "rule once waits for a missing right, with 2 items, such as for LimitRange" in shown
    assert sorted(text.partition(" since")[0] for text in reported) == [
        f"Rule limits/{rule} waits with what it writes on this object" for rule in ("once", "once", "seen", "seen")
    ]

    grant(rulepacks.plane, reported[0].partition("to grant it: ")[2].replace("NAME", "limits"))
    eventually(lambda: rulepacks.status("limits")["fired"] == 4, "firings that are written", 90)
    assert rulepacks.status("limits")["waiting"] == 0


def test_a_missing_right_to_watch_is_reported_as_one_to_list_is(rulepacks: RulePacks) -> None:
    """The right to list is there. Granted with what the message says, the pack is ready."""
    kubectl, engine = rulepacks.kubectl, rulepacks.engine
    templates = {"apiGroups": [""], "resources": ["podtemplates"]}
    engine.bind("ClusterRole", f"{engine.own}-templates", [{**templates, "verbs": ["list"]}])

    kubectl("apply", "-f", "-", given=PACK.replace("limits", "templates").replace("LimitRange", "PodTemplate"))
    eventually(lambda: rulepacks.condition("templates", "Ready")[1] == "MissingRight", "missing right to watch", 20)
    message = rulepacks.condition("templates", "Ready")[2]
    engine.bind("ClusterRole", f"{engine.own}-watch-templates", [{**templates, "verbs": ["watch"]}])
    kubectl("wait", "--for=condition=Ready", "rp/templates", "--timeout=60s")

    assert message.startswith("pack templates waits: PodTemplate.v1 in namespace ")
    assert "cannot be watched: 403 Forbidden" in message
    assert message.endswith("rulepack rbac pack.yaml | kubectl apply -f -")


def test_a_right_to_watch_that_is_lost_is_reported_with_the_next_watch(rulepacks: RulePacks) -> None:
    """The API server asks for the right where a watch begins, and never again while it lasts, which is a minute."""
    kubectl, engine = rulepacks.kubectl, rulepacks.engine
    quotas = {"apiGroups": [""], "resources": ["resourcequotas"]}
    engine.bind("ClusterRole", f"{engine.own}-quotas", [{**quotas, "verbs": ["list", "watch"]}])
    kubectl("apply", "-f", "-", given=PACK.replace("limits", "quotas").replace("LimitRange", "ResourceQuota"))
    kubectl("wait", "--for=condition=Ready", "rp/quotas", "--timeout=60s")

    role = {"metadata": {"name": f"{engine.own}-quotas"}, "rules": [{**quotas, "verbs": ["list"]}]}
    rulepacks.plane.request("PUT", f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{engine.own}-quotas", role)

    eventually(lambda: rulepacks.condition("quotas", "Ready")[1] == "MissingRight", "lost right to watch", 90)


def may_write_statuses(rulepacks: RulePacks, permitted: bool) -> None:
    """Give the engine's account the right to patch the status of RulePacks, or take it away."""
    name = rulepacks.engine.own
    for role in roles():
        rules = [rule for rule in role["rules"] if permitted or "rulepacks/status" not in rule["resources"]]
        within = f"/namespaces/{name}" if role["kind"] == "Role" else ""
        path = f"/apis/rbac.authorization.k8s.io/v1{within}/{role['kind'].lower()}s/{name}"
        rulepacks.plane.request("PUT", path, {"metadata": {"name": name}, "rules": rules})


def test_get_says_that_the_operator_may_not_write_the_status(rulepacks: RulePacks) -> None:
    """It runs, as its Lease shows; a status that it cannot renew is of an older generation."""
    kubectl, engine = rulepacks.kubectl, rulepacks.engine
    kubectl.environment["PATH"] = f"{Path(sys.executable).parent}:{kubectl.environment['PATH']}"
    rulepacks.status("sync-waves")
    may_write_statuses(rulepacks, False)

    kubectl("apply", "-f", "-", given=PACK.replace("limits", "unwritten"))
    kubectl("patch", "rp", "sync-waves", "--type=merge", "-p", '{"spec":{"mode":"Audit"}}')
    eventually(lambda: "its status cannot be written" in engine.log(), "line of the log")
    shown = kubectl.plain("rulepack", "get", "sync-waves", "unwritten", "-n", engine.own)
    may_write_statuses(rulepacks, True)
    eventually(lambda: rulepacks.status("unwritten")["conditions"], "status", 60)

    assert "Unknown" in shown
    assert "not yet read since the last change: this is about generation 1, and the newest is 2; an operator runs (" in shown
    assert "no operator has written its status yet; an operator runs (" in shown
    assert f"holds Lease {engine.own}/rulepack, last renewed " in shown and " s ago): where this stays so" in shown


LOOKING = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: looking}
spec:
  watch: {apiVersion: v1, kind: ConfigMap}
  targets: [{apiVersion: storage.k8s.io/v1, kind: StorageClass, verbs: [get, list], consent: 'true'}]
  rules:
    - name: look
      when: has(object.data) && 'looking' in object.data
      lookup:
        one: {apiVersion: storage.k8s.io/v1, kind: StorageClass, name: standard, live: true}
        all: {apiVersion: storage.k8s.io/v1, kind: StorageClass, labelSelector: {}, live: true}
      actions:
        - annotate: {annotations: {example.com/looking: 'yes'}}
"""


def test_one_grant_is_enough_for_all_lookups_of_a_rule(rulepacks: RulePacks) -> None:
    """They are of a kind that is in no namespace, one by its name, one by labels; the command is typed as the Event has it."""
    kubectl, watched = rulepacks.kubectl, rulepacks.watched
    kubectl("apply", "-f", "-", given=LOOKING)
    kubectl("wait", "--for=condition=Ready", "rp/looking", "--timeout=60s")
    kubectl("create", "configmap", "looking", "-n", watched, "--from-literal=looking=x")

    def reported() -> list[str]:
        events = json.loads(kubectl("get", "events", "-n", watched, "-o", "json"))["items"]
        return [each["message"] for each in events if each["reason"] == "RuleWaiting" and "looking/look" in each["message"]]

    (message,) = eventually(reported, "Event about the missing right", 60)
    command = message.partition("to grant it: ")[2]
    grant(rulepacks.plane, command.replace("NAME", "looking"))
    marked = "--for=jsonpath={.metadata.annotations.example\\.com/looking}=yes"
    kubectl("wait", "-n", watched, marked, "cm/looking", "--timeout=90s")

    assert command.startswith("kubectl create clusterrole NAME --verb=get,list --resource=storageclasses.storage.k8s.io && ")
