"""Rules of real CustomResourceDefinitions give the same in the engine and in a kube-apiserver, on values of their schemas."""

from __future__ import annotations

import json
import re
import urllib.error
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from engine.cel import Cel, Scope, backend
from engine.cel.values import NONE, Optional
from engine.errors import EvaluationError
from tests.conformance.modules import module
from tests.conformance.objects import Values, relaxed
from tests.conformance.rules import MODULES, PARTIAL, definitions, rules
from tests.controlplane.gobuild import Say
from tests.controlplane.plane import ControlPlane

#: Rules in one definition, and values for each rule.
BATCH, VALUES = 25, 20
#: How kube-apiserver refuses a rule for what it may cost with the others of its definition: 1.37 estimates more than 1.34.
COSTLY = "contributed to estimated rule cost total"
_METADATA = {"type": "object", "properties": {"name": {"type": "string"}, "generateName": {"type": "string"}}}
_VERDICTS = {True: "true", False: "false", None: "no answer"}


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule, a schema that its values fit, and whether it sees the value before."""

    text: str
    schema: dict[str, Any]
    optional_old: bool

    @property
    def old(self) -> bool:
        """Whether it needs the value before, so that it is not evaluated when an object is created."""
        return re.search(r"\boldSelf\b", self.text) is not None and not self.optional_old

    def validation(self, number: int) -> dict[str, Any]:
        """It as it stands in a definition."""
        optional = {"optionalOldSelf": True} if self.optional_old else {}
        return {"rule": self.text, "message": f"rule-{number}", **optional}


def real_rules() -> list[Rule]:
    """Each rule of the definitions in the modules once, with the first schema that it stands in."""
    found: dict[str, Rule] = {}
    paths = [path for name in MODULES for path in module(name).rglob("*.yaml")]
    for path in sorted(paths, key=lambda path: (PARTIAL in path.parts, path)):
        for crd in definitions(path.read_bytes()):
            for schema, rule in rules(crd):
                if rule["rule"] not in found and "type" in schema:  # without one it is a part of another
                    fitting = relaxed(schema)
                    if "metadata" in fitting.get("properties", {}):
                        fitting["properties"]["metadata"] = _METADATA
                    found[rule["rule"]] = Rule(rule["rule"], fitting, bool(rule.get("optionalOldSelf")))
    return [found[text] for text in sorted(found)]


def test_none_is_evaluated_differently(control_plane: ControlPlane, say: Say) -> None:
    """Whether a rule is true, false or has no answer, for each value that kube-apiserver was asked about."""
    cel, found = backend(), real_rules()
    differing, counts, refused, one_sided = [], Counter[str](), dict[str, str](), 0
    for number in range(0, len(found), BATCH):
        definition = Definition(control_plane, number, found[number : number + BATCH])
        refused |= definition.refused
        seen: dict[str, set[bool | None]] = {}
        for seed in range(VALUES):
            for rule, value, before, theirs in definition.answers(seed):
                ours = _engine(cel, rule, value, before)
                counts[_VERDICTS[theirs]] += 1
                seen.setdefault(rule.text, set()).add(theirs)
                if ours != theirs:
                    differing.append((rule.text, value, before, ours, theirs))
        one_sided += sum(len(verdicts) == 1 for verdicts in seen.values())

    say(f"rules of real definitions: {len(found) - len(refused)} on {sum(counts.values())} values: {dict(counts)}; "
        f"{one_sided} with one verdict for all values; {len(refused)} refused by kube-apiserver")  # fmt: skip
    assert {text: why for text, why in refused.items() if COSTLY not in why} == {}
    assert len(refused) <= 1
    assert differing == []


def _engine(cel: Cel, rule: Rule, value: Any, before: Any) -> bool | None:
    old = (NONE if before is None else Optional(before)) if rule.optional_old else before
    text = rule.text.replace("__namespace__", "namespace")  # how definitions escape a word of CEL, which rule packs do not
    try:
        return cel.compile(text, ("self", "oldSelf")).condition(Scope({"self": value, "oldSelf": old}))
    except EvaluationError:
        return None


class Definition:
    """A definition with a field for each of some rules, on a kube-apiserver; those that it refuses are left out."""

    def __init__(self, plane: ControlPlane, number: int, rules: Sequence[Rule]) -> None:
        self.refused: dict[str, str] = {}
        self._plane, self._kind = plane, f"Rules{number}"
        self._rules = dict(enumerate(rules))
        while causes := self._define():
            for index, why in causes.items():
                self.refused[self._rules.pop(index).text] = why

    def _define(self) -> dict[int, str]:
        """Create the definition; the rules for which it is refused, and why."""
        fields = {
            f"r{at}": {**rule.schema, "x-kubernetes-validations": [rule.validation(at)]} for at, rule in self._rules.items()
        }
        spec = {"type": "object", "properties": fields}
        plural, group = self._kind.lower(), "real.example.com"
        schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}
        body = {
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{plural}.{group}"},
            "spec": {
                "group": group, "scope": "Cluster", "names": {"plural": plural, "singular": plural, "kind": self._kind},
                "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
            },
        }  # fmt: skip
        try:
            self._plane.define(body)
        except urllib.error.HTTPError as error:
            causes = json.loads(error.read())["details"]["causes"]
            found = {int(at[1]): each["message"] for each in causes if (at := re.search(r"\[r(\d+)\]|\.r(\d+)\b", each["field"]))}
            assert found, causes
            return found
        return {}

    def answers(self, seed: int) -> Iterator[tuple[Rule, Any, Any, bool | None]]:
        """One value for each rule, the value before where it sees that, and what kube-apiserver says: None is no answer."""
        before = {at: self._value(rule, seed + VALUES) for at, rule in self._rules.items() if rule.old}
        after = {at: self._value(rule, seed) for at, rule in self._rules.items()}
        reported = self._messages_of(seed, before, after)
        for at, rule in self._rules.items():
            message = reported.get(at)
            yield rule, after[at], before.get(at), True if message is None else False if message == f"rule-{at}" else None

    def _value(self, rule: Rule, seed: int) -> Any:
        return next(found for more in range(100) if (found := Values(rule.text, seed + 1000 * more).of(rule.schema)) is not None)

    def _messages_of(self, seed: int, before: dict[int, Any], after: dict[int, Any]) -> dict[int, str]:
        """What kube-apiserver says of an object of which the fields were others before, by the number of the rule."""
        path = f"/apis/real.example.com/v1/{self._kind.lower()}"
        old = self._request("POST", path, self._object(seed, before)) if before else {}
        meta = {"resourceVersion": old["metadata"]["resourceVersion"]} if before else {}
        method, path = ("PUT", f"{path}/o{seed}") if before else ("POST", path)
        try:
            self._request(method, f"{path}?dryRun=All", self._object(seed, after, **meta))
        except urllib.error.HTTPError as error:
            causes = json.loads(error.read())["details"]["causes"]
            assert not any("were not checked" in cause["message"] for cause in causes), causes
            return dict(map(_messages_of, causes))
        return {}

    def _request(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._plane.request(method, path, body)

    def _object(self, seed: int, values: dict[int, Any], **meta: str) -> dict[str, Any]:
        spec = {f"r{at}": value for at, value in values.items()}
        return {
            "apiVersion": "real.example.com/v1", "kind": self._kind, "metadata": {"name": f"o{seed}", **meta}, "spec": spec,
        }  # fmt: skip


def _messages_of(cause: dict[str, str]) -> tuple[int, str]:
    """The number of the rule that a cause is about, and `rule-<number>` where it is just false; values may stand before."""
    field = re.search(r"spec\.r(\d+)", cause["field"])
    assert field is not None, cause
    false = re.fullmatch(rf'Invalid value: (?:(?:".*"|\{{.*\}}|\[.*\]|-?[\w.]+): )?rule-{field[1]}', cause["message"], re.DOTALL)
    return int(field[1]), f"rule-{field[1]}" if false else cause["message"]
