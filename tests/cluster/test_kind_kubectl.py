"""`kind: RulePack` as its users have it: a real kubectl, a real kube-apiserver, and the engine as a process of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from engine.packs.crd import custom_resource_definition
from tests.cluster.conftest import RULE_PACKS, RulePacks
from tests.e2e.cluster import eventually
from tests.e2e.rulepacks import SHIPPED, files

PACK = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: NAME}
spec:
  watch: {apiVersion: v1, kind: ConfigMap}
  rules:
    - name: mark
      when: "has(object.data) && 'NAME' in object.data"
      actions:
        - annotate: {annotations: {example.com/NAME: 'yes'}}
"""


def pack(name: str) -> str:
    """A pack that marks the ConfigMaps with its name as a key."""
    return PACK.replace("NAME", name)


def misspelt(name: str) -> str:
    """The same pack, in which a rule has `wehn`: without the key it would act on every ConfigMap."""
    return pack(name).replace("when:", "wehn:")


def test_a_pack_whose_deletion_is_held_up_says_that_it_counts(rulepacks: RulePacks) -> None:
    """The API server answers that it is deleted; it is in force until its finalizer is gone."""
    kubectl, finalizers = rulepacks.kubectl, '{"metadata":{"finalizers":%s}}'
    kubectl("apply", "-f", "-", given=pack("held"))
    kubectl("patch", "rp", "held", "--type=merge", "-p", finalizers % '["example.com/x"]')
    kubectl("wait", "--for=condition=Ready", "rp/held", "--timeout=60s")

    kubectl("delete", "rp", "held", "--wait=false")
    said = eventually(lambda: (ready := rulepacks.condition("held", "Ready")[2]) and "deleted" in ready and ready, "status")
    kubectl("patch", "rp", "held", "--type=merge", "-p", finalizers % "null")

    assert said == (
        "the pack is in force, and acts; it is being deleted, and counts until somebody takes away its finalizers (example.com/x)"
    )
    eventually(lambda: not rulepacks.find("held"), "deletion")


def test_a_pack_is_applied_and_ready(rulepacks: RulePacks) -> None:
    kubectl = rulepacks.kubectl

    applied = kubectl("apply", "-f", "-", given=pack("ready"))
    waited = kubectl("wait", "--for=condition=Ready", "rp/ready", "--timeout=60s")

    assert applied == "rulepack.rules.mlops.dev/ready created\n"
    assert waited == "rulepack.rules.mlops.dev/ready condition met\n"


def test_a_rule_that_extends_another_is_kept_as_written_and_acts(rulepacks: RulePacks) -> None:
    """It has the condition of the other rule, and the API server keeps it as short as it was applied."""
    kubectl, watched = rulepacks.kubectl, rulepacks.watched
    again = {"name": "again", "extends": "mark", "actions": [{"annotate": {"annotations": {"example.com/again": "yes"}}}]}
    body = yaml.safe_load(pack("extended"))
    body["spec"]["rules"].append(again)
    kubectl("create", "configmap", "no-reason", "-n", watched, "--from-literal=other=x")
    kubectl("create", "configmap", "reason", "-n", watched, "--from-literal=extended=x")

    kubectl("apply", "--validate=strict", "-f", "-", given=json.dumps(body))
    marked = "--for=jsonpath={.metadata.annotations.example\\.com/again}=yes"
    kubectl("wait", "-n", watched, marked, "cm/reason", "--timeout=60s")
    other = json.loads(kubectl("get", "-n", watched, "cm/no-reason", "-o", "json"))

    assert rulepacks.find("extended")["spec"]["rules"][1] == again
    assert "example.com/again" not in other["metadata"].get("annotations", {})


def test_get_lists_everything_that_is_in_force(rulepacks: RulePacks) -> None:
    """RulePacks, packs in ConfigMaps and shipped packs, with how often each has acted."""
    kubectl = rulepacks.kubectl
    kubectl("apply", "-f", "-", given=pack("counted"))
    kubectl("create", "configmap", "packs", f"--from-literal=pack.yaml={pack('in-config-map')}")
    kubectl("label", "configmap", "packs", "rules.mlops.dev/rule-pack=true")
    kubectl("create", "configmap", "one", "-n", rulepacks.watched, "--from-literal=counted=x")
    eventually(lambda: rulepacks.find("counted").get("status", {}).get("fired"), "count of what it did")
    eventually(lambda: rulepacks.find("in-config-map").get("status"), "object of the pack in a ConfigMap")

    heads, *rows = [line.split() for line in kubectl("get", "rp").splitlines()]
    everywhere = kubectl("get", "rp", "-A")

    listed = {name: columns[:-1] for name, *columns in rows}
    assert heads == ["NAME", "MODE", "RULES", "READY", "FIRED", "WAITING", "AGE"]
    assert listed["counted"] == ["Enforce", "1", "True", "1", "0"]
    assert listed["in-config-map"] == ["Enforce", "1", "True", "0", "0"]
    assert listed["argocd-health"][:3] == ["Disabled", "3", "True"]
    assert {*SHIPPED} <= listed.keys()
    assert {(rulepacks.engine.own, name) for name in listed} <= {(*line.split()[:2],) for line in everywhere.splitlines()}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("rulepack", "How the pack fares; written by the operator."),
        ("rulepack.spec", "The pack itself, or a reference to one that the operator ships"),
        ("rulepack.spec.rules", "CEL conditions that must all be true: a list, or a single one."),
        ("rulepack.spec.rules.event", "ENUM: Change Delete"),
        ("rulepack.spec.mode", "ENUM: Enforce Audit Disabled"),
        ("rulepack.spec.watch", "kind (required): The watched kind, such as `Deployment`. labelSelector: Only objects with"),
        ("rulepack.spec.params", "Beside `shipped` or `configMap`: values for params of that pack"),
        ("rulepack.status.conditions", "Accepted, Ready or Stalled."),
    ],
)
def test_explain_describes_each_field(rulepacks: RulePacks, path: str, expected: str) -> None:
    explained = " ".join(rulepacks.kubectl("explain", path).split())

    assert expected in explained


def test_describe_says_what_is_wrong(rulepacks: RulePacks) -> None:
    kubectl = rulepacks.kubectl
    kubectl("apply", "-f", "-", given=misspelt("described"))
    rulepacks.status("described")

    described = kubectl("describe", "rp", "described")

    assert "spec.rules[0].wehn: unknown key 'wehn'; expected 'when' (did you mean that?)" in described
    assert "it is not accepted; nothing is in force" in described


def test_an_unquoted_on_is_refused_by_path(rulepacks: RulePacks) -> None:
    """kubectl reads it as true, which would leave a rule for changes where one for deletions was meant."""
    rulepacks.kubectl("apply", "-f", "-", given=pack("unquoted-on").replace("      when", "      on: Delete\n      when"))

    accepted = rulepacks.condition("unquoted-on", "Accepted")

    assert accepted[:2] == ("False", "Invalid")
    assert accepted[2].startswith("spec.rules[0].true: unknown key 'true'; expected 'event'")
    assert rulepacks.condition("unquoted-on", "Ready")[2] == "it is not accepted; nothing is in force"


@pytest.mark.parametrize("validation", ["strict", "ignore"])
def test_an_unquoted_off_is_refused(rulepacks: RulePacks, validation: str) -> None:
    """By the API server, whatever validation kubectl asks for; `Disabled` is taken."""
    kubectl = rulepacks.kubectl
    off = pack("unquoted-off").replace("  watch", "  mode: Off\n  watch")

    refused = kubectl.run("apply", f"--validate={validation}", "-f", "-", given=off)
    kubectl("apply", "-f", "-", given=off.replace("Off", "Disabled"))

    assert refused.returncode == 1
    assert 'spec.mode: Unsupported value: false: supported values: "Enforce", "Audit", "Disabled"' in refused.stderr
    assert rulepacks.condition("unquoted-off", "Ready")[:2] == ("True", "Disabled")


@pytest.mark.parametrize(
    "options", [["--validate=ignore"], ["--server-side", "--validate=ignore"], ["--server-side", "--validate=strict"]]
)
def test_a_misspelt_key_is_refused_by_path_and_never_in_force(rulepacks: RulePacks, options: list[str]) -> None:
    """The server keeps what it does not know, the operator refuses it; nothing is marked meanwhile."""
    kubectl, name = rulepacks.kubectl, f"misspelt-{len(options)}-{options[-1][-6:].strip('=')}"
    kubectl("create", "configmap", name, "-n", rulepacks.watched, "--from-literal=nothing=x")

    kubectl("apply", *options, "-f", "-", given=misspelt(name))
    status = rulepacks.status(name)

    assert rulepacks.condition(name, "Accepted")[:2] == ("False", "Invalid")
    assert [fault["path"] for fault in status["faults"]] == ["spec.rules[0].wehn"]
    assert "generationInForce" not in status
    assert name not in rulepacks.engine.packs()
    assert "annotations" not in json.loads(kubectl("get", "cm", name, "-n", rulepacks.watched, "-o", "json"))["metadata"]


@pytest.mark.parametrize(
    "command",
    [["apply", "--validate=ignore"], ["apply"], ["apply", "--server-side"], ["create", "--validate=warn"]],
    ids=["ignore", "strict", "server-side", "create"],
)
@pytest.mark.parametrize("key", ["mode", "moed"])
def test_a_mode_beside_the_spec_is_refused_and_not_enforced(rulepacks: RulePacks, command: list[str], key: str) -> None:
    """The server keeps it, the operator refuses it and says where it belongs; in its place it counts."""
    kubectl, name = rulepacks.kubectl, f"beside-{key}-{command[0]}-{len(command[-1])}"
    kubectl("create", "configmap", name, "-n", rulepacks.watched, f"--from-literal={name}=x")

    kubectl(*command, "-f", "-", given=f"{pack(name)}{key}: Audit\n")
    refused = rulepacks.condition(name, "Accepted")
    in_force = rulepacks.engine.packs().keys()
    spec = json.dumps([{"op": "move", "from": f"/{key}", "path": "/spec/mode"}])
    kubectl("patch", "rp", name, "--type=json", "-p", spec)
    kubectl("wait", "--for=jsonpath={.status.mode}=Audit", f"rp/{name}", "--timeout=60s")

    expected = "it as spec.mode" if key == "mode" else "spec.mode (did you mean that?)"
    assert refused == ("False", "Invalid", f"{key}: unknown key '{key}'; expected {expected}")
    assert name not in in_force
    assert rulepacks.condition(name, "Accepted")[:2] == ("True", "Accepted")
    assert "annotations" not in json.loads(kubectl("get", "cm", name, "-n", rulepacks.watched, "-o", "json"))["metadata"]


def test_a_mode_beside_the_spec_of_a_reference_disables_nothing_and_says_so(rulepacks: RulePacks) -> None:
    kubectl, name = rulepacks.kubectl, "sync-waves"
    eventually(lambda: rulepacks.find(name).get("status"), "status of the shipped pack")

    kubectl("patch", "rp", name, "--type=merge", "-p", '{"mode":"Disabled"}')
    accepted, ready = rulepacks.condition(name, "Accepted"), rulepacks.condition(name, "Ready")
    kubectl("patch", "rp", name, "--type=merge", "-p", '{"mode":null}')
    kubectl("wait", "--for=condition=Accepted", f"rp/{name}", "--timeout=60s")

    assert accepted == ("False", "Invalid", "mode: unknown key 'mode'; expected it as spec.mode")
    assert ready[2].startswith("it is not accepted; the last good text, generation ")


@pytest.mark.parametrize("file", files(), ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_each_pack_of_this_project_is_applied_with_strict_validation(rulepacks: RulePacks, file: Path) -> None:
    """A reference to a shipped pack becomes one by `kubectl replace`, as docs/rulepacks.md says."""
    kubectl = rulepacks.kubectl
    names = [each["metadata"]["name"] for each in yaml.safe_load_all(file.read_text()) if each["kind"] == "RulePack"]
    shipped = [name for name in names if name in SHIPPED]
    for name in shipped:
        eventually(lambda name=name: rulepacks.find(name), f"reference to {name}")  # type: ignore[misc]

    kubectl("replace" if shipped else "apply", "--validate=strict", "-f", str(file))
    faults = [rulepacks.status(name).get("faults") for name in names]
    kubectl("delete", "-f", str(file))

    assert faults == [None] * len(names)


def test_a_config_map_in_place_of_a_shipped_pack_is_listed(rulepacks: RulePacks) -> None:
    """The mode on the object of the shipped pack counts for it, and a warning says which text it is; the object that comes once
    that one is deleted is of what is in force."""
    kubectl = rulepacks.kubectl
    eventually(lambda: rulepacks.find("rollouts").get("status"), "status of the shipped pack")
    kubectl("patch", "rp", "rollouts", "--type=merge", "-p", '{"spec":{"mode":"Disabled"}}')
    kubectl("create", "configmap", "in-place", f"--from-literal=pack.yaml={pack('rollouts')}")
    kubectl("label", "configmap", "in-place", "rules.mlops.dev/rule-pack=true")
    kubectl("wait", "--for=jsonpath={.status.warningCount}=1", "rp/rollouts", "--timeout=60s")
    accepted, disabled = rulepacks.condition("rollouts", "Accepted"), rulepacks.status("rollouts")

    kubectl("delete", "rp", "rollouts")
    eventually(lambda: rulepacks.find("rollouts").get("status"), "status of the pack in the ConfigMap")
    listed, spec = rulepacks.status("rollouts"), rulepacks.find("rollouts")["spec"]
    kubectl("delete", "configmap", "in-place")
    kubectl("delete", "rp", "rollouts")  # as the garbage collector does
    eventually(lambda: rulepacks.find("rollouts").get("spec") == {"shipped": "rollouts"}, "RulePack of the shipped pack")

    source = f"configmap/{rulepacks.engine.own}/in-place/pack.yaml"
    assert accepted[:2] == ("True", "Warnings")
    assert accepted[2].startswith(f"spec.shipped: pack 'rollouts' is that in {source}; mode and params count for that; expected")
    assert (disabled["mode"], disabled["ruleCount"]) == ("Disabled", 1)
    assert (spec, listed["mode"], listed["ruleCount"]) == ({"configMap": "in-place"}, "Enforce", 1)


def test_warnings_name_what_an_own_pack_still_has_of_a_reference(rulepacks: RulePacks) -> None:
    """The commands in the warnings take it away, so that who lists packs without that label finds the pack."""
    kubectl, name = rulepacks.kubectl, "sync-waves"
    eventually(lambda: rulepacks.find(name).get("status"), "status of the shipped pack")
    text = {**yaml.safe_load(pack(name))["spec"], "shipped": None}
    kubectl("patch", "rp", name, "--type=merge", "-p", json.dumps({"spec": text}))
    kubectl("wait", "--for=jsonpath={.status.warningCount}=1", f"rp/{name}", "--timeout=60s")

    (warning,) = rulepacks.status(name)["warnings"]
    kubectl(*warning["message"].partition("kubectl ")[2].split())
    kubectl("wait", "--for=jsonpath={.status.conditions[0].reason}=Accepted", f"rp/{name}", "--timeout=60s")
    exported = kubectl("get", "rp", "-l", "app.kubernetes.io/managed-by!=rulepack", "-o", "name").split()
    kubectl("delete", "rp", name)

    assert warning["path"] == "metadata.labels[app.kubernetes.io/managed-by]"
    assert f"rulepack.rules.mlops.dev/{name}" in exported


def test_a_number_that_kubectl_writes_otherwise_is_computed_with(rulepacks: RulePacks) -> None:
    """Kubectl makes 1 of 1.0, in the schema of a param as in its value; the rule has a double all the same."""
    kubectl = rulepacks.kubectl
    text = pack("ratio").replace("  watch", "  params: {ratio: {type: number, default: 1.0}}\n  watch")
    kubectl("create", "configmap", "ratio", "-n", rulepacks.watched, "--from-literal=ratio=x")

    kubectl("apply", "-f", "-", given=text.replace("'yes'", "'${params.ratio * 2.5}'"))
    kubectl("wait", "--for=jsonpath={.status.fired}=1", "rp/ratio", "--timeout=60s")
    marked = json.loads(kubectl("get", "cm", "ratio", "-n", rulepacks.watched, "-o", "json"))["metadata"]["annotations"]

    assert json.loads(kubectl("get", "rp", "ratio", "-o", "jsonpath={.spec.params.ratio}")) == {"type": "number", "default": 1}
    assert marked["example.com/ratio"] == "2.5"


def test_a_pack_that_breaks_keeps_its_last_good_spec_until_it_is_mended(rulepacks: RulePacks) -> None:
    """Edited, broken and mended; the status says at each moment which generation is in force."""
    kubectl = rulepacks.kubectl
    kubectl("apply", "-f", "-", given=pack("mended"))
    kubectl("wait", "--for=condition=Ready", "rp/mended", "--timeout=60s")
    kubectl("patch", "rp", "mended", "--type=json", "-p", '[{"op":"add","path":"/spec/description","value":"edited"}]')
    edited = rulepacks.status("mended")
    kubectl("apply", "-f", "-", given=misspelt("mended"))
    broken, ready = rulepacks.status("mended"), rulepacks.condition("mended", "Ready")
    kubectl("create", "configmap", "while-broken", "-n", rulepacks.watched, "--from-literal=mended=x")
    kubectl(
        "wait", "-n", rulepacks.watched, "--for=jsonpath={.metadata.annotations.example\\.com/mended}=yes", "cm/while-broken",
        "--timeout=60s",
    )  # fmt: skip
    kubectl("apply", "-f", "-", given=pack("mended"))
    kubectl("wait", "--for=condition=Accepted", "rp/mended", "--timeout=60s")
    mended = rulepacks.status("mended")

    assert [each["generationInForce"] for each in (edited, broken, mended)] == [2, 2, 4]
    assert [each["observedGeneration"] for each in (edited, broken, mended)] == [2, 3, 4]
    assert ready == ("False", "Invalid", "it is not accepted; the last good text, generation 2, stays in force")


def without_value(name: str, key: str) -> str:
    """A pack in which a key has lost its value."""
    body = yaml.safe_load(pack(name))
    rule = body["spec"]["rules"][0]
    if key == "where":
        body["spec"]["targets"] = [{"apiVersion": "v1", "kind": "Secret", "verbs": ["get", "list", "delete"]}]
        rule["actions"] = [{"delete": {"target": {"apiVersion": "v1", "kind": "Secret", "labelSelector": {}}, "where": None}}]
    else:
        rule[key] = None
    return json.dumps(body)


@pytest.mark.parametrize("key", ["when", "schedule", "where"])
@pytest.mark.parametrize("verb", ["create", "apply", "apply --server-side", "replace"])
def test_a_key_without_a_value_is_refused_however_it_comes(rulepacks: RulePacks, verb: str, key: str) -> None:
    """The API server drops a null that its schema does not allow: a rule with `when:` would be one without a condition."""
    kubectl, name = rulepacks.kubectl, f"{key}-{verb.replace(' --', '-')}"
    if verb == "replace":
        kubectl("apply", "-f", "-", given=pack(name))
        kubectl("wait", "--for=condition=Ready", f"rp/{name}", "--timeout=60s")

    kubectl(*verb.split(), "-f", "-", given=without_value(name, key))
    kubectl("wait", "--for=condition=Accepted=False", f"rp/{name}", "--timeout=60s")

    (fault,) = rulepacks.status(name)["faults"]
    assert fault["path"].endswith(key)
    assert fault["message"].startswith("null stands here; expected ")


@pytest.mark.parametrize("verb", ["create", "apply --server-side"])
def test_a_mode_without_a_value_is_refused_by_the_server(rulepacks: RulePacks, verb: str) -> None:
    refused = rulepacks.kubectl.run(*verb.split(), "-f", "-", given=without_value("mode", "mode"))

    assert refused.returncode == 1
    assert 'spec.rules[0].mode: Unsupported value: null: supported values: "Enforce", "Audit", "Disabled"' in refused.stderr


def test_a_mode_that_loses_its_value_does_not_become_enforce(rulepacks: RulePacks) -> None:
    """`kubectl apply` sends a null that takes the mode away; the annotation in which it notes what it was given has it."""
    kubectl, audited = rulepacks.kubectl, pack("audited").replace("spec:\n", "spec:\n  mode: Audit\n")
    kubectl("apply", "-f", "-", given=audited)
    kubectl("wait", "--for=condition=Ready", "rp/audited", "--timeout=60s")

    kubectl("apply", "-f", "-", given=audited.replace("mode: Audit", "mode:"))
    kubectl("wait", "--for=condition=Accepted=False", "rp/audited", "--timeout=60s")

    assert [fault["path"] for fault in rulepacks.status("audited")["faults"]] == ["spec.mode"]
    assert rulepacks.status("audited")["mode"] == "Audit"


def test_a_param_that_loses_its_value_does_not_become_its_default(rulepacks: RulePacks) -> None:
    kubectl, name = rulepacks.kubectl, "on-success-triggers"
    kubectl("patch", "rp", name, "--type=merge", "-p", '{"spec":{"params":{"otherNamespaces":"Deny"}}}')

    kubectl("patch", "rp", name, "--type=json", "-p", '[{"op":"replace","path":"/spec/params/otherNamespaces","value":null}]')
    kubectl("wait", "--for=condition=Accepted=False", f"rp/{name}", "--timeout=60s")
    faults = rulepacks.status(name)["faults"]
    kubectl("patch", "rp", name, "--type=json", "-p", '[{"op":"remove","path":"/spec/params"}]')

    assert {fault["path"] for fault in faults} == {"spec.params.otherNamespaces"}


def test_a_condition_that_is_patched_away_by_a_null_is_refused(rulepacks: RulePacks) -> None:
    kubectl = rulepacks.kubectl
    kubectl("apply", "-f", "-", given=pack("patched"))
    kubectl("wait", "--for=condition=Ready", "rp/patched", "--timeout=60s")

    kubectl("patch", "rp", "patched", "--type=json", "-p", '[{"op":"replace","path":"/spec/rules/0/when","value":null}]')
    kubectl("wait", "--for=condition=Accepted=False", "rp/patched", "--timeout=60s")

    assert [fault["path"] for fault in rulepacks.status("patched")["faults"]] == ["spec.rules[0].when"]


def test_a_condition_without_a_value_stays_refused_whoever_edits_the_rule(rulepacks: RulePacks) -> None:
    """`kubectl apply` sends no null and notes it; without that note the spec counts as it is stored, with a warning."""
    kubectl, name = rulepacks.kubectl, "noted"
    kubectl("apply", "-f", "-", given=without_value(name, "when"))
    kubectl("wait", "--for=condition=Accepted=False", f"rp/{name}", "--timeout=60s")
    kubectl("create", "configmap", name, "-n", rulepacks.watched, "--from-literal=nothing=x")

    kubectl("patch", "rp", name, "--type=json", "-p", '[{"op":"add","path":"/spec/rules/0/resync","value":"5m"}]')
    edited = rulepacks.status(name)
    before = json.loads(kubectl("get", "cm", name, "-n", rulepacks.watched, "-o", "json"))["metadata"]
    note = edited["faults"][0]["message"].partition("kubectl annotate ")[2].split()
    kubectl("annotate", *note)
    kubectl("wait", "--for=condition=Accepted=True", f"rp/{name}", "--timeout=60s")
    accepted = rulepacks.condition(name, "Accepted")

    assert (edited["observedGeneration"], [fault["path"] for fault in edited["faults"]]) == (2, ["spec.rules[0].when"])
    assert "generationInForce" not in edited
    assert "annotations" not in before
    assert accepted[1] == "Warnings"
    assert accepted[2].startswith("spec.rules[0]: rule 'mark' had a condition, and has none now; expected a condition")


def test_a_condition_that_a_merge_patch_takes_away_is_warned_of(rulepacks: RulePacks) -> None:
    """As `kubectl edit` sends one: the API server drops the key, and nobody can see that it was left empty."""
    kubectl = rulepacks.kubectl
    kubectl("apply", "--server-side", "-f", "-", given=pack("merged"))
    kubectl("wait", "--for=condition=Ready", "rp/merged", "--timeout=60s")
    emptied = {"spec": {"rules": json.loads(without_value("merged", "when"))["spec"]["rules"]}}

    kubectl("patch", "rp", "merged", "--type=merge", "-p", json.dumps(emptied))
    kubectl("wait", "--for=jsonpath={.status.warningCount}=1", "rp/merged", "--timeout=60s")

    assert rulepacks.condition("merged", "Accepted")[1] == "Warnings"


def test_the_api_server_cannot_refuse_the_loss_of_a_condition(rulepacks: RulePacks) -> None:
    """As docs/rulepacks.md says: a transition rule of the definition cannot read a field of several types."""
    definition = custom_resource_definition()
    (version,) = definition["spec"]["versions"]
    rule = "!has(self.rules) || !has(oldSelf.rules) || self.rules.all(each, has(each.when))"
    version["schema"]["openAPIV3Schema"]["properties"]["spec"]["x-kubernetes-validations"].append({"rule": rule})

    refused = rulepacks.kubectl.run("replace", "--dry-run=server", "-f", "-", given=json.dumps(definition))

    assert refused.returncode == 1
    assert "undefined field 'when'" in refused.stderr


@pytest.mark.parametrize("flags", [[], ["--server-side"]], ids=["client", "server"])
def test_a_null_removes_a_key_however_it_is_applied(rulepacks: RulePacks, flags: list[str]) -> None:
    """`kubectl apply` without --server-side sends no null, and notes what it was given in an annotation."""
    name = f"emptied-{len(flags)}"
    rulepacks.kubectl("apply", *flags, "-f", "-", given=json.dumps(removing(name)))
    rulepacks.kubectl("wait", "--for=condition=Ready", f"rp/{name}", "--timeout=60s")
    rulepacks.kubectl("create", "configmap", name, "-n", rulepacks.watched, f"--from-literal={name}=x", "--from-literal=b=y")

    eventually(lambda: data(rulepacks, name) == {"b": "y"}, "key that is removed")


def test_a_null_that_is_added_later_counts(rulepacks: RulePacks) -> None:
    """Only the annotation changes then; and a mode that is set meanwhile leaves it as it is."""
    kubectl, pack = rulepacks.kubectl, removing("later")
    kubectl("apply", "-f", "-", given=json.dumps(pack).replace('{"later": null}', "{}"))
    rulepacks.condition("later", "Accepted")
    kubectl("apply", "-f", "-", given=json.dumps(pack))
    kubectl("create", "configmap", "later", "-n", rulepacks.watched, "--from-literal=later=x", "--from-literal=b=y")
    eventually(lambda: data(rulepacks, "later") == {"b": "y"}, "key that is removed")

    kubectl("patch", "rp", "later", "--type=merge", "-p", '{"spec": {"mode": "Disabled"}}')

    assert rulepacks.condition("later", "Ready")[:2] == ("True", "Disabled")
    assert rulepacks.condition("later", "Accepted")[:2] == ("True", "Accepted")


PATCHED = "/spec/rules/0/actions/0/patch/patch/data"


def edited(rulepacks: RulePacks, name: str) -> None:
    """Edit what is around the null, and undo that: what is stored is as it was given again."""
    for edit in ({"op": "add", "path": f"{PATCHED}/b", "value": "z"}, {"op": "remove", "path": f"{PATCHED}/b"}):
        rulepacks.kubectl("patch", "rp", name, "--type=json", "-p", json.dumps([edit]))


def applied_on_the_server(rulepacks: RulePacks, name: str) -> None:
    """As Argo CD and Flux do: another field manager takes over, with a spec without the null."""
    given = json.loads(json.dumps(removing(name)).replace(f'{{"{name}": null}}', "{}"))
    path = f"{RULE_PACKS.format(rulepacks.engine.own)}/{name}?fieldManager=other&force=true"
    rulepacks.plane.request("PATCH", path, given, content_type="application/apply-patch+yaml")


@pytest.mark.parametrize("change", [edited, applied_on_the_server])
def test_a_null_does_not_count_once_another_tool_has_written_there(
    rulepacks: RulePacks, change: Callable[[RulePacks, str], None]
) -> None:
    """The annotation is of long ago: who took the null away must not get it back. The status says so, and what brings it back."""
    kubectl, name = rulepacks.kubectl, change.__name__.replace("_", "-")
    kubectl("apply", "-f", "-", given=json.dumps(removing(name)))
    kubectl("wait", "--for=condition=Ready", f"rp/{name}", "--timeout=60s")

    change(rulepacks, name)
    kubectl("wait", "--for=jsonpath={.status.warningCount}=1", f"rp/{name}", "--timeout=60s")
    accepted = rulepacks.condition(name, "Accepted")
    kubectl("create", "configmap", name, "-n", rulepacks.watched, f"--from-literal={name}=x", "--from-literal=b=y")
    kubectl("patch", "rp", name, "--type=json", "-p", RESYNC)
    eventually(lambda: data(rulepacks, name).get("resynced") == "yes", "patch without the null")
    kept = data(rulepacks, name)
    kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", given=json.dumps(removing(name)))
    eventually(lambda: name not in data(rulepacks, name), "key that is removed")

    path = f"spec.rules[0].actions[0].patch.patch.data.{name}"
    assert accepted[:2] == ("True", "Warnings")
    assert accepted[2].startswith(f"{path}: kubectl apply dropped the null here, and it does not count: ")
    assert "kubectl apply --server-side --force-conflicts" in accepted[2]
    assert kept == {name: "x", "b": "y", "resynced": "yes"}


def test_a_null_does_not_count_once_kubectl_has_replaced_the_pack(rulepacks: RulePacks) -> None:
    """Kubectl replace notes in the annotation what it replaces the pack by: what `kubectl get` gave has no null."""
    kubectl = rulepacks.kubectl
    kubectl("apply", "-f", "-", given=json.dumps(removing("replaced")))
    kubectl("wait", "--for=condition=Ready", "rp/replaced", "--timeout=60s")
    kubectl("replace", "-f", "-", given=kubectl("get", "rp", "replaced", "-o", "json"))
    kubectl("patch", "rp", "replaced", "--type=json", "-p", RESYNC)
    kubectl("wait", "--for=jsonpath={.status.generationInForce}=2", "rp/replaced", "--timeout=60s")
    kubectl("create", "configmap", "replaced", "-n", rulepacks.watched, "--from-literal=replaced=x")

    eventually(lambda: data(rulepacks, "replaced") == {"replaced": "x", "resynced": "yes"}, "patch without the null")
    assert rulepacks.condition("replaced", "Accepted")[:2] == ("True", "Accepted")


RESYNC = json.dumps([{"op": "add", "path": f"{PATCHED}/resynced", "value": "yes"}])


def removing(name: str) -> dict[str, Any]:
    """A pack that removes the key of its name from ConfigMaps."""
    rule = {
        "name": name,
        "when": f"has(object.data) && '{name}' in object.data",
        "actions": [{"patch": {"patch": {"data": {name: None}}}}],
    }
    config_maps = {"apiVersion": "v1", "kind": "ConfigMap"}
    spec = {"watch": config_maps, "targets": [config_maps | {"verbs": ["get", "patch"]}], "rules": [rule]}
    return {"apiVersion": "rules.mlops.dev/v1alpha1", "kind": "RulePack", "metadata": {"name": name}, "spec": spec}


def data(rulepacks: RulePacks, name: str) -> Any:
    """The data of a ConfigMap of the watched namespace."""
    found = rulepacks.plane.request("GET", f"/api/v1/namespaces/{rulepacks.watched}/configmaps/{name}")
    return found.get("data", {})


def test_a_pack_whose_items_all_fail_says_so(rulepacks: RulePacks) -> None:
    """Ready says how many and why the last one did, and `-o wide` counts them."""
    kubectl = rulepacks.kubectl
    invalid = "patch: {patch: {metadata: {labels: {failing: 'not valid!'}}}}"
    text = pack("failing").replace("annotate: {annotations: {example.com/failing: 'yes'}}", invalid)
    targets = "  targets: [{apiVersion: v1, kind: ConfigMap, verbs: [get, patch]}]"
    kubectl("apply", "-f", "-", given=text.replace("  rules", f"{targets}\n  rules"))
    kubectl("wait", "--for=condition=Ready", "rp/failing", "--timeout=60s")
    kubectl("create", "configmap", "fails", "-n", rulepacks.watched, "--from-literal=failing=x")
    eventually(lambda: rulepacks.status("failing")["failed"], "item that failed", 60)

    ready = rulepacks.condition("failing", "Ready")
    heads, row = [line.split() for line in kubectl("get", "rp", "failing", "-o", "wide").splitlines()]
    kubectl("delete", "rp", "failing")

    last = f"Z: patch for ConfigMap {rulepacks.watched}/fails: 422 Invalid; its Events and the log say why"
    assert ready[:2] == ("True", "InForce")
    assert "in force, but all that it does fails; rule mark fails for one item now: " in ready[2]
    assert last in ready[2]
    assert int(row[heads.index("FAILED")]) >= 1
