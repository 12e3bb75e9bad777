"""`kind: RuleLibrary` as its users have it: a real kubectl, a real kube-apiserver, and the engine as a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.conftest import RulePacks
from tests.e2e.cluster import eventually
from tests.e2e.transcript import play
from tests.world import RULES

LIBRARY = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RuleLibrary
metadata: {name: NAME}
spec:
  description: Keys of ConfigMaps.
  functions:
    holds:
      description: Whether an object has data of the name.
      parameters:
        - {name: object, type: map}
      returns: bool
      expression: has(object.data) && 'KEY' in object.data
"""
PACK = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: NAME}
spec:
  watch: {apiVersion: v1, kind: ConfigMap}
  rules:
    - name: mark
      when: NAME.holds(object)
      actions:
        - annotate: {annotations: {example.com/NAME: 'yes'}}
"""
SHIPPED = [file for file in sorted((RULES / "lib").glob("*.yaml")) if not file.stem.endswith("-tests")]


def library(name: str, key: str = "first") -> str:
    """A library whose function finds the ConfigMaps with a key."""
    return LIBRARY.replace("NAME", name).replace("KEY", key)


def applied(rulepacks: RulePacks, name: str) -> None:
    """Apply a library and a pack that calls it, both named so, and wait for both."""
    rulepacks.kubectl("apply", "-f", "-", given=library(name) + "---\n" + PACK.replace("NAME", name))
    rulepacks.kubectl("wait", "--for=condition=Ready", f"rl/{name}", f"rp/{name}", "--timeout=60s")


def waits_for_mark(rulepacks: RulePacks, name: str, config_map: str, key: str) -> None:
    """Make a ConfigMap with a key, and wait until the pack has marked it."""
    where = ("-n", rulepacks.watched)
    rulepacks.kubectl("create", "configmap", config_map, *where, f"--from-literal={key}=x")
    marked = f"--for=jsonpath={{.metadata.annotations.example\\.com/{name}}}=yes"
    rulepacks.kubectl("wait", *where, marked, f"cm/{config_map}", "--timeout=60s")


def condition(status: dict[str, Any], kind: str) -> tuple[str, str, str]:
    """Status, reason and message of a condition."""
    (found,) = [each for each in status["conditions"] if each["type"] == kind]
    return found["status"], found["reason"], found["message"]


def test_get_lists_functions_and_packs(rulepacks: RulePacks) -> None:
    """By the short name, and by `rulepack get` with the names of the packs."""
    kubectl = rulepacks.kubectl
    kubectl.environment["PATH"] = f"{Path(sys.executable).parent}:{kubectl.environment['PATH']}"
    applied(rulepacks, "listed")
    eventually(lambda: rulepacks.library("listed").get("packCount") == 1, "the pack that uses it")

    heads, row = [line.split() for line in kubectl("get", "rl", "listed").splitlines()]
    shown = kubectl.plain("rulepack", "get", "listed").splitlines()

    assert heads == ["NAME", "FUNCTIONS", "PACKS", "READY", "AGE"]
    assert row[:-1] == ["listed", "1", "1", "True"]
    assert [line.split()[:2] for line in shown if line] == [
        ["NAMESPACE", "NAME"], [rulepacks.engine.own, "listed"], ["NAMESPACE", "LIBRARY"], [rulepacks.engine.own, "listed"],
    ]  # fmt: skip
    assert shown[-1].split()[2:] == ["1", "True", "listed"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("rulelibrary.spec.functions", "A function: an expression with a name, which rule packs call as"),
        ("rulelibrary.spec.functions.parameters", "What it is called with, in this order."),
        ("rulelibrary.status", "Whether packs can use the library, and which do; written by the operator."),
    ],
)
def test_explain_describes_each_field(rulepacks: RulePacks, path: str, expected: str) -> None:
    assert expected in " ".join(rulepacks.kubectl("explain", path).split())


def test_explain_calls_the_functions_of_libraries(rulepacks: RulePacks) -> None:
    """`rulepack explain` reads them from the operator's namespace, as it does packs."""
    kubectl, where = rulepacks.kubectl, ("-n", rulepacks.watched)
    kubectl.environment["PATH"] = f"{Path(sys.executable).parent}:{kubectl.environment['PATH']}"
    applied(rulepacks, "explained")
    kubectl("create", "configmap", "explained", *where, "--from-literal=other=x")

    command = ("rulepack", "explain", "configmap", "explained", *where, f"--operator-namespace={rulepacks.engine.own}")
    shown = kubectl.run(*command, plain=True)

    assert (shown.returncode, shown.stderr) == (0, "")
    assert "pack explained (Enforce" in shown.stdout
    assert "explained.holds(object)" in shown.stdout


@pytest.mark.parametrize("options", [["--validate=ignore"], ["--server-side", "--validate=strict"]])
def test_a_key_that_is_not_known_is_refused_by_path(rulepacks: RulePacks, options: list[str]) -> None:
    """The server keeps it, the operator refuses it."""
    name = f"misspelt{len(options)}"

    rulepacks.kubectl("apply", *options, "-f", "-", given=library(name).replace("returns:", "retruns:"))
    status = rulepacks.library(name)

    why = "unknown key 'retruns'; expected 'returns' (did you mean that?)"
    assert status["faults"] == [{"path": "spec.functions.holds.retruns", "code": "schema", "message": why}]
    assert condition(status, "Accepted") == ("False", "Invalid", f"spec.functions.holds.retruns: {why}")
    assert condition(status, "Ready")[2] == "it is not accepted; nothing is in force"
    assert "generationInForce" not in status


def test_a_key_beside_the_spec_is_refused_by_path(rulepacks: RulePacks) -> None:
    rulepacks.kubectl("apply", "--validate=ignore", "-f", "-", given=f"{library('beside')}functions: {{}}\n")

    why = "functions: unknown key 'functions'; expected it as spec.functions"
    assert condition(rulepacks.library("beside"), "Accepted") == ("False", "Invalid", why)


def test_a_fault_of_an_expression_has_its_line_and_column(rulepacks: RulePacks) -> None:
    rulepacks.kubectl("apply", "-f", "-", given=library("expression").replace("in object.data", "in objct.data"))

    (fault,) = rulepacks.library("expression")["faults"]

    assert (fault["path"], fault["code"]) == ("spec.functions.holds.expression:1:32", "expression")
    assert fault["message"].startswith("unknown variable 'objct'")


@pytest.mark.parametrize("name", ["with-dash", "a.b", "1a", "a" * 64])
def test_a_name_that_no_call_can_have_is_refused(rulepacks: RulePacks, name: str) -> None:
    refused = rulepacks.kubectl.run("apply", "-f", "-", given=library(name))

    assert refused.returncode == 1
    assert "metadata.name: small letters and digits, a letter first, at most 63" in refused.stderr


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_each_shipped_library_is_applied_with_strict_validation(rulepacks: RulePacks, file: Path) -> None:
    """It takes the place of the shipped one, and has no fault as an object either."""
    names = [each["metadata"]["name"] for each in yaml.safe_load_all(file.read_text()) if each["kind"] == "RuleLibrary"]

    rulepacks.kubectl("apply", "--validate=strict", "-f", str(file))
    faults = [rulepacks.library(name).get("faults") for name in names]
    rulepacks.kubectl("delete", "-f", str(file))

    assert names
    assert faults == [None] * len(names)


def test_each_command_of_the_document_prints_what_it_shows(rulepacks: RulePacks, tmp_path: Path) -> None:
    """docs/libraries.md; the operator's namespace has another name here."""
    assert play(rulepacks.kubectl, tmp_path, lambda step: None, "libraries.md") == 4


def test_a_life(rulepacks: RulePacks) -> None:
    """Changed, broken, mended and deleted: packs follow it, and keep what was good last; nobody touches them."""
    kubectl = rulepacks.kubectl
    applied(rulepacks, "lived")
    waits_for_mark(rulepacks, "lived", "lived-first", "first")

    kubectl("apply", "-f", "-", given=library("lived", "second"))
    assert rulepacks.library("lived")["generationInForce"] == 2
    waits_for_mark(rulepacks, "lived", "lived-second", "second")

    kubectl("apply", "-f", "-", given=library("lived", "third").replace("in object.data", "in objct.data"))
    broken = rulepacks.library("lived")
    assert condition(broken, "Ready")[2] == "it is not accepted; the last good text, generation 2, stays in force"
    assert broken["packs"] == ["lived"]
    said = "after a restart this pack is not in force, since library 'lived' is refused"
    eventually(lambda: said in str(rulepacks.status("lived").get("warnings")), "warning of the pack")
    waits_for_mark(rulepacks, "lived", "lived-kept", "second")

    kubectl("apply", "-f", "-", given=library("lived", "third"))
    assert rulepacks.library("lived")["generationInForce"] == 4
    waits_for_mark(rulepacks, "lived", "lived-third", "third")

    kubectl("delete", "rl", "lived")
    eventually(lambda: rulepacks.condition("lived", "Accepted")[0] == "False", "refusal of the pack")
    assert "unknown function 'lived.holds'" in rulepacks.condition("lived", "Accepted")[2]
    waits = "it waits for library 'lived', which is not there: it is in force as soon as that is"
    assert rulepacks.condition("lived", "Ready")[2] == f"{waits}; the last good text, generation 1, stays in force"
    assert rulepacks.condition("lived", "Stalled")[0] == "False"
    waits_for_mark(rulepacks, "lived", "lived-gone", "third")


def test_a_pack_that_comes_before_its_library_waits_for_it(rulepacks: RulePacks) -> None:
    """`kubectl wait` that was begun before the library is there ends well; nobody touches the pack."""
    kubectl = rulepacks.kubectl
    kubectl("apply", "-f", "-", given=PACK.replace("NAME", "early"))
    eventually(lambda: rulepacks.condition("early", "Ready")[1] == "LibraryMissing", "pack that waits")
    ready, stalled = rulepacks.condition("early", "Ready"), rulepacks.condition("early", "Stalled")

    wait = ["kubectl", "wait", "-n", rulepacks.engine.own, "--for=condition=Ready", "rp/early", "--timeout=60s"]
    with subprocess.Popen(wait, env=kubectl.environment, stdout=subprocess.PIPE, text=True) as waiting:
        kubectl("apply", "-f", "-", given=library("early"))
        out, _ = waiting.communicate(timeout=90)
    waits_for_mark(rulepacks, "early", "early-first", "first")

    waits = "it waits for library 'early', which is not there: it is in force as soon as that is; nothing is in force"
    assert (ready[0], ready[2]) == ("False", waits)
    assert stalled[:2] == ("False", "LibraryMissing")
    assert (waiting.returncode, out.strip()) == (0, "rulepack.rules.mlops.dev/early condition met")


def test_a_library_that_hides_a_shipped_one_says_so(rulepacks: RulePacks) -> None:
    """A shipped pack that calls what it lacks keeps its last good text, and names it."""
    kubectl = rulepacks.kubectl
    kubectl("apply", "-f", "-", given=library("argocd"))
    status = rulepacks.library("argocd")
    own = f"'argocd' here is rulelibrary/{rulepacks.engine.own}/argocd, which hides the shipped one"
    eventually(lambda: own in rulepacks.condition("on-success-triggers", "Accepted")[2], "fault of a shipped pack")
    kubectl("delete", "rl", "argocd")
    eventually(lambda: rulepacks.condition("on-success-triggers", "Accepted")[0] == "True", "shipped pack as before")

    assert condition(status, "Accepted")[:2] == ("True", "Warnings")
    said = "it hides the shipped library 'argocd', also from shipped packs, and has no "
    assert status["warnings"][0]["message"].startswith(said)


def test_a_shipped_pack_that_a_library_breaks_says_so_after_a_restart(rulepacks: RulePacks) -> None:
    """Nobody is advised to delete its RulePack, whose mode counts again when the library is gone."""
    kubectl, engine, name = rulepacks.kubectl, rulepacks.engine, "on-success-triggers"
    kubectl("patch", "rp", name, "--type=merge", "-p", '{"spec": {"mode": "Audit"}}')
    kubectl("apply", "-f", "-", given=library("argocd"))
    own = f"'argocd' here is rulelibrary/{engine.own}/argocd, which hides the shipped one"
    eventually(lambda: own in rulepacks.condition(name, "Accepted")[2], "fault of a shipped pack")
    callers = rulepacks.library("argocd")["packs"]

    engine.stop()
    engine.start()
    engine.ready()
    eventually(lambda: rulepacks.condition(name, "Ready")[2].endswith("nothing is in force"), "shipped pack that is refused")
    accepted, named = rulepacks.condition(name, "Accepted")[2], rulepacks.library("argocd")["packs"]
    events = rulepacks.plane.request("GET", f"/api/v1/namespaces/{engine.own}/events")["items"]
    kubectl("delete", "rl", "argocd")
    eventually(lambda: rulepacks.condition(name, "Accepted")[0] == "True", "shipped pack as before")

    said = [each["message"] for each in events if each["involvedObject"]["name"] == name]
    assert "the shipped text of pack 'on-success-triggers' is refused" in accepted
    assert all(own in each and "kubectl delete" not in each for each in (accepted, *said))
    assert (named, rulepacks.status(name)["mode"]) == (callers, "Audit")
    kubectl("patch", "rp", name, "--type=merge", "-p", '{"spec": {"mode": null}}')


def test_an_object_goes_before_a_config_map(rulepacks: RulePacks) -> None:
    """The ConfigMap says which has the name."""
    kubectl = rulepacks.kubectl
    kubectl("create", "configmap", "in-place", f"--from-literal=lib.yaml={library('both', 'second')}")
    kubectl("label", "configmap", "in-place", "rules.mlops.dev/rule-pack=true")
    applied(rulepacks, "both")

    said = f"library 'both' is also in rulelibrary/{rulepacks.engine.own}/both, which has it"
    eventually(lambda: said in kubectl("get", "cm", "in-place", "-o", "jsonpath={.metadata.annotations}"), "word of it")
    waits_for_mark(rulepacks, "both", "both-first", "first")
    kubectl("delete", "cm", "in-place")


def test_a_library_elsewhere_is_not_in_force(rulepacks: RulePacks) -> None:
    """The operator says so in the namespaces that it watches."""
    kubectl = rulepacks.kubectl

    kubectl("apply", "-n", rulepacks.watched, "-f", "-", given=library("elsewhere"))
    kubectl("wait", "-n", rulepacks.watched, "--for=condition=Accepted=false", "rl/elsewhere", "--timeout=60s")
    reason = kubectl("get", "-n", rulepacks.watched, "rl", "elsewhere", "-o", "jsonpath={.status.conditions[0].reason}")

    assert reason == "NotAnOperatorNamespace"
