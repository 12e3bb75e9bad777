"""What becomes of RulePacks when the engine is restarted, when another replica takes over, and outside of its namespace."""

from __future__ import annotations

import json
from typing import Any

from engine.model.objects import Object, annotations_of
from tests.cluster.conftest import RULE_PACKS, RulePacks
from tests.cluster.test_kind_kubectl import misspelt, pack
from tests.e2e.cluster import eventually


def messages(rulepacks: RulePacks, name: str, namespace: str = "") -> list[tuple[str, str]]:
    """Reason and message of the Events about a RulePack."""
    events = rulepacks.plane.request("GET", f"/api/v1/namespaces/{namespace or rulepacks.engine.own}/events")["items"]
    return [(each["reason"], each["message"]) for each in events if each["involvedObject"]["name"] == name]


def marked(rulepacks: RulePacks, name: str) -> Object:
    """The ConfigMap of this name in the watched namespace, once it is marked by the pack of its name."""
    path = f"/api/v1/namespaces/{rulepacks.watched}/configmaps/{name}"

    def found() -> Any:
        config_map = rulepacks.plane.request("GET", path)
        return f"example.com/{name}" in config_map["metadata"].get("annotations", {}) and config_map

    config_map: Object = eventually(found, f"mark on {name}")
    return config_map


def test_a_refused_spec_is_not_in_force_after_a_restart(rulepacks: RulePacks) -> None:
    """Until then the last good one is. Status, Event and metric say so, and counts go on from the status."""
    kubectl, engine = rulepacks.kubectl, rulepacks.engine
    kubectl("apply", "-f", "-", given=pack("restarted"))
    kubectl("apply", "-f", "-", given=pack("counting"))
    kubectl("create", "configmap", "counting", "-n", rulepacks.watched, "--from-literal=counting=x")
    kubectl("wait", "--for=condition=Ready", "rp/restarted", "--timeout=60s")
    kubectl("wait", "--for=jsonpath={.status.fired}=1", "rp/counting", "--timeout=60s")
    kubectl("apply", "-f", "-", given=misspelt("restarted"))
    before = rulepacks.condition("restarted", "Ready")[2]
    eventually(lambda: engine.metric("rulepack_pack_errors") == 1, "metric of one refused pack")

    engine.stop()
    engine.start()
    engine.ready()
    kubectl("wait", "--for=jsonpath={.status.conditions[?(@.type=='Ready')].message}=it is not accepted; nothing is in force",
            "rp/restarted", "--timeout=60s")  # fmt: skip
    refused = engine.metric("rulepack_pack_errors")
    in_force = engine.packs().keys()
    kubectl(
        "create", "configmap", "restarted", "-n", rulepacks.watched, "--from-literal=restarted=x", "--from-literal=counting=x"
    )
    kubectl("wait", "--for=jsonpath={.status.fired}=2", "rp/counting", "--timeout=60s")
    unmarked = rulepacks.plane.request("GET", f"/api/v1/namespaces/{rulepacks.watched}/configmaps/restarted")
    kubectl("apply", "-f", "-", given=pack("restarted"))
    marked(rulepacks, "restarted")

    assert before == "it is not accepted; the last good text, generation 1, stays in force"
    kept = {message.rpartition("; ")[2] for _, message in messages(rulepacks, "restarted")}
    assert kept == {"the last good text, generation 1, stays in force", "nothing is in force"}
    assert {reason for reason, _ in messages(rulepacks, "restarted")} == {"RulePackInvalid"}
    assert refused == 1
    assert "counting" in in_force
    assert "restarted" not in in_force
    assert [*unmarked["metadata"]["annotations"]] == ["example.com/counting"]


def test_a_pack_does_not_act_while_that_of_its_earlier_name_is_disabled_and_refused(rulepacks: RulePacks) -> None:
    """Not after a restart either, when nobody knows a good text of that one, and the refused one has no mode.

    Once that is gone, the pack acts.
    """
    kubectl, engine = rulepacks.kubectl, rulepacks.engine
    disabled = "spec:\n  mode: Disabled\n"
    kubectl("apply", "-f", "-", given=pack("before").replace("spec:\n", disabled))
    kubectl("wait", "--for=jsonpath={.status.mode}=Disabled", "rp/before", "--timeout=60s")
    kubectl("apply", "-f", "-", given=pack("renamed").replace("spec:\n", "spec:\n  previousNames: [before]\n"))
    kubectl("wait", "--for=jsonpath={.status.mode}=Disabled", "rp/renamed", "--timeout=60s")
    kubectl("apply", "-f", "-", given=misspelt("before"))
    kubectl("wait", "--for=condition=Accepted=False", "rp/before", "--timeout=60s")
    running = rulepacks.condition("renamed", "Ready")[2]

    engine.stop()
    engine.start()
    engine.ready()
    nothing = "it is not accepted; nothing is in force"
    kubectl("wait", f"--for=jsonpath={{.status.conditions[?(@.type=='Ready')].message}}={nothing}", "rp/before", "--timeout=60s")
    kubectl("apply", "-f", "-", given=pack("counts"))
    kubectl("create", "configmap", "renamed", "-n", rulepacks.watched, "--from-literal=renamed=x", "--from-literal=counts=x")
    kubectl("wait", "--for=jsonpath={.status.fired}=1", "rp/counts", "--timeout=60s")
    unmarked = rulepacks.plane.request("GET", f"/api/v1/namespaces/{rulepacks.watched}/configmaps/renamed")
    old = f"rulepack/{engine.own}/before, which has an earlier name,"
    said = "one thing in it may not be meant, see status.warnings"
    restarted = f"the pack is disabled, and does nothing; {old} is refused and counts as Disabled; {said}"
    eventually(lambda: rulepacks.condition("renamed", "Ready")[2] == restarted, "the status of the restarted process", 60)
    kubectl("delete", "rp", "before")
    marked(rulepacks, "renamed")
    kubectl("delete", "rp", "renamed", "counts")

    assert running == f"the pack is disabled, and does nothing; {old} says Disabled; {said}"
    assert [*unmarked["metadata"]["annotations"]] == ["example.com/counts"]


def test_after_a_restart_a_shipped_pack_does_not_replace_a_refused_config_map(rulepacks: RulePacks) -> None:
    """While the process runs the last good text stays in force; then nothing has the name, and both statuses say so."""
    kubectl, engine, name = rulepacks.kubectl, rulepacks.engine, "rollouts"
    kubectl("create", "configmap", "own-rollouts", f"--from-literal=pack.yaml={pack(name)}")
    kubectl("label", "configmap", "own-rollouts", "rules.mlops.dev/rule-pack=true")
    kubectl("wait", "--for=jsonpath={.status.warningCount}=1", f"rp/{name}", "--timeout=60s")
    patch = json.dumps({"data": {"pack.yaml": misspelt(name)}})
    kubectl("patch", "configmap", "own-rollouts", "--type=merge", "-p", patch)
    kubectl("wait", "--for=condition=Accepted=False", f"rp/{name}", "--timeout=60s")
    running = rulepacks.status(name)

    engine.stop()
    engine.start()
    engine.ready()
    nothing = "it is not accepted; nothing is in force"
    kubectl("wait", f"--for=jsonpath={{.status.conditions[?(@.type=='Ready')].message}}={nothing}", f"rp/{name}", "--timeout=60s")
    refused, in_force = rulepacks.condition(name, "Accepted")[2], engine.packs().keys()

    def loser() -> Any:
        return "not even the shipped one" in kubectl("get", "configmap", "own-rollouts", "-o", "jsonpath={.metadata.annotations}")

    eventually(loser, "status of the ConfigMap")
    kubectl("delete", "configmap", "own-rollouts")
    kubectl("wait", "--for=condition=Accepted", f"rp/{name}", "--timeout=60s")

    assert running["ruleCount"] == 1
    assert name not in in_force
    assert f"configmap/{engine.own}/own-rollouts/pack.yaml has the name '{name}', and is refused" in refused


def test_what_was_done_just_before_the_end_is_counted(rulepacks: RulePacks) -> None:
    """A status in which only counts differ is written every five seconds, and once more when the process ends."""
    kubectl, engine, name = rulepacks.kubectl, rulepacks.engine, "last-counts"
    kubectl("apply", "-f", "-", given=pack(name))
    kubectl("wait", "--for=condition=Ready", f"rp/{name}", "--timeout=60s")
    for number in range(6):
        kubectl("create", "configmap", f"last-{number}", "-n", rulepacks.watched, f"--from-literal={name}=x")
    path = f"/api/v1/namespaces/{rulepacks.watched}/configmaps"

    def done() -> bool:
        found = [each for each in rulepacks.plane.request("GET", path)["items"] if name in each.get("data", {})]
        return all(f"example.com/{name}" in annotations_of(each) for each in found)

    eventually(done, "marks")

    engine.stop()
    fired, released = rulepacks.find(name)["status"]["fired"], engine.lease()["holderIdentity"]
    engine.start()
    engine.ready()

    assert (fired, released) == (6, "")


def test_a_config_map_that_loses_its_label_has_no_status_any_more(rulepacks: RulePacks) -> None:
    """With the right that the operator has to write it."""
    kubectl, status = rulepacks.kubectl, "jsonpath={.metadata.annotations.rules\\.mlops\\.dev/status}"
    kubectl("create", "configmap", "unlabelled", f"--from-literal=pack.yaml={pack('unlabelled')}")
    kubectl("label", "configmap", "unlabelled", "rules.mlops.dev/rule-pack=true")
    eventually(lambda: kubectl("get", "cm", "unlabelled", "-o", status) == "ok", "status of the ConfigMap")

    kubectl("label", "configmap", "unlabelled", "rules.mlops.dev/rule-pack-")

    eventually(lambda: kubectl("get", "cm", "unlabelled", "-o", status) == "", "ConfigMap without a status")
    kubectl("delete", "configmap", "unlabelled")


def test_another_replica_goes_on_with_the_counts(rulepacks: RulePacks) -> None:
    """The leader is killed; who takes over keeps the last good spec, which it has read too, and the counts in the status."""
    kubectl, engine = rulepacks.kubectl, rulepacks.engine
    kubectl("apply", "-f", "-", given=pack("taken-over"))
    kubectl("wait", "--for=condition=Ready", "rp/taken-over", "--timeout=60s")
    engine.launch("standby")
    kubectl("create", "configmap", "first", "-n", rulepacks.watched, "--from-literal=taken-over=x")
    kubectl("wait", "--for=jsonpath={.status.fired}=1", "rp/taken-over", "--timeout=60s")

    engine.kill()
    kubectl("create", "configmap", "second", "-n", rulepacks.watched, "--from-literal=taken-over=x")
    kubectl("wait", "--for=jsonpath={.status.fired}=2", "rp/taken-over", "--timeout=90s")
    status = rulepacks.status("taken-over")
    engine.processes.kill("standby")
    engine.start()

    assert (status["generationInForce"], status["parts"][0]["rules"][0]["lastObject"]) == (
        1, f"ConfigMap {rulepacks.watched}/second",
    )  # fmt: skip


def test_a_shard_that_is_gone_waits_for_nothing(rulepacks: RulePacks) -> None:
    """What it did stays counted; what waited there waits elsewhere by now, or nowhere."""
    kubectl = rulepacks.kubectl
    kubectl("apply", "-f", "-", given=pack("shrunk"))
    kubectl("wait", "--for=condition=Ready", "rp/shrunk", "--timeout=60s")
    rule = {"name": "mark", "fired": 3, "failed": 1, "waiting": 2}
    waits = {"waitingSince": "2026-01-24T22:00:00Z", "waitingFor": "a right", "suspended": ["a"]}
    body = {"apiVersion": "rules.mlops.dev/v1alpha1", "kind": "RulePack", "metadata": {"name": "shrunk"}}
    body["status"] = {"parts": [{"shard": 1, "rules": [rule | waits]}]}

    kubectl("apply", "--server-side", "--subresource=status", "--field-manager=rulepack-1", "-f", "-", given=json.dumps(body))
    kubectl("wait", "--for=jsonpath={.status.fired}=3", "rp/shrunk", "--timeout=60s")

    def parts() -> Any:
        found = {each["shard"]: each["rules"] for each in rulepacks.status("shrunk")["parts"]}
        return found[1] == [rule | {"waiting": 0}] and rulepacks.status("shrunk")["waiting"] == 0

    eventually(parts, "part of a shard that waits for nothing")


def test_a_rulepack_of_a_watched_namespace_is_not_in_force(rulepacks: RulePacks) -> None:
    """The operator runs with --namespace; its own namespace is another one."""
    rulepacks.kubectl("apply", "-n", rulepacks.watched, "-f", "-", given=pack("elsewhere"))

    def accepted() -> Any:
        found = rulepacks.plane.request("GET", f"{RULE_PACKS.format(rulepacks.watched)}/elsewhere")
        return [each for each in found.get("status", {}).get("conditions", []) if each["type"] == "Accepted"]

    (condition,) = eventually(accepted, "status of a RulePack elsewhere")
    stalled = rulepacks.kubectl(
        "get", "rp", "elsewhere", "-n", rulepacks.watched, "-o", "jsonpath={.status.conditions[?(@.type=='Stalled')].message}"
    )
    delete = stalled.rpartition(": ")[2]
    rulepacks.kubectl("apply", "-n", rulepacks.engine.own, "-f", "-", given=pack("elsewhere"))
    rulepacks.kubectl.plain(*delete.split()[1:])
    rulepacks.kubectl("wait", "--for=condition=Ready", "rp/elsewhere", "--timeout=60s")
    assert f"Move it: apply its manifest with -n {rulepacks.engine.own}, and delete it here: kubectl delete rulepack" in stalled
    why = f"metadata.namespace: only a RulePack in the operator's namespace, {rulepacks.engine.own}, is in force"
    assert (condition["status"], condition["reason"], condition["message"]) == ("False", "NotAnOperatorNamespace", why)
    assert messages(rulepacks, "elsewhere", rulepacks.watched) == [("NotAnOperatorNamespace", f"{why}; nothing is in force")]
