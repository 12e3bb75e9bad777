"""Asks a real kube-apiserver what conditions give in a ValidatingAdmissionPolicy: `object` is decoded JSON, as in rule packs."""

from __future__ import annotations

import itertools
import json
import re
import time
import urllib.error
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.controlplane.plane import PATIENCE, ControlPlane

REGISTRATION = "/apis/admissionregistration.k8s.io/v1"
#: Conditions in one policy: kube-apiserver cuts warnings short that have more than 4096 characters together.
BATCH = 10
_IN_FORCE = "in force"
_numbers = itertools.count(1)
_CAUSE = re.compile(r"spec\.validations\[(\d+)\]\.expression")
_WARNING = re.compile(r'299 - "Validation failed for ValidatingAdmissionPolicy \S+ with binding \S+: (.*)"', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Answer:
    """What one condition gives for one object, as kube-apiserver has completed that; None is no answer."""

    condition: str
    object: Mapping[str, Any]
    value: bool | None


def answers(
    plane: ControlPlane, collection: str, conditions: Sequence[str], objects: Sequence[Mapping[str, Any]]
) -> list[Answer]:
    """What conditions give for objects of a collection such as `apps/v1/deployments`, which are created as a dry run.

    Each batch has a policy, which only warns, and a namespace that it is about.
    """
    *group, version, plural = collection.split("/")
    resource = (group[0] if group else "", version, plural)
    batches = [
        Batch(plane, f"{plural}-{next(_numbers)}", resource, conditions[start : start + BATCH])
        for start in range(0, len(conditions), BATCH)
    ]
    for batch in batches:
        batch.create()
    return [each for batch in batches for each in batch.answers(objects)]


@dataclass(frozen=True, slots=True)
class Batch:
    """Conditions that one policy asks for, about one `resource` (group, version, plural) in a namespace of the policy's name."""

    plane: ControlPlane
    name: str
    resource: tuple[str, str, str]
    conditions: Sequence[str]
    refused: set[int] = field(default_factory=set)
    """The indexes of those that do not compile."""

    def create(self) -> None:
        """Create namespace, policy and binding."""
        group, version, plural = self.resource
        rule = {"apiGroups": [group], "apiVersions": [version], "operations": ["CREATE"], "resources": [plural]}
        selector = {"matchLabels": {"kubernetes.io/metadata.name": self.name}}
        validations = [{"expression": each, "message": f"false: {index}"} for index, each in enumerate(self.conditions)]
        self.plane.ensure("/api/v1/namespaces", {"metadata": {"name": self.name}})
        spec = {
            "validations": [*validations, {"expression": "false", "message": _IN_FORCE}],
            "matchConstraints": {"resourceRules": [rule], "namespaceSelector": selector},
        }  # fmt: skip
        try:
            self._register("validatingadmissionpolicies", spec)
        except urllib.error.HTTPError as error:
            causes = json.loads(error.read())["details"]["causes"]
            self.refused.update(int(found[1]) for each in causes if (found := _CAUSE.fullmatch(each["field"])))
            assert self.refused, causes
            kept = [each for index, each in enumerate(spec["validations"]) if index not in self.refused]
            self._register("validatingadmissionpolicies", spec | {"validations": kept})
        self._register("validatingadmissionpolicybindings", {"policyName": self.name, "validationActions": ["Warn"]})

    def _register(self, plural: str, spec: Mapping[str, Any]) -> None:
        self.plane.request("POST", f"{REGISTRATION}/{plural}", {"metadata": {"name": self.name}, "spec": spec})

    def answers(self, objects: Sequence[Mapping[str, Any]]) -> list[Answer]:
        """What the conditions give for each object."""
        found = []
        for each in objects:
            taken, warned = self._ask(each)
            for index, condition in enumerate(self.conditions):
                unanswered = index in self.refused or any(text.startswith(f"expression '{condition[:100]}") for text in warned)
                found.append(Answer(condition, taken, None if unanswered else f"false: {index}" not in warned))
        return found

    def _ask(self, body: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """The object as it would be stored, and what the policy warns of, once that is in force."""
        group, version, plural = self.resource
        path = f"/apis/{group}/{version}" if group else f"/api/{version}"
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            taken, warnings = self.plane.request_with_warnings("POST", f"{path}/namespaces/{self.name}/{plural}?dryRun=All", body)
            warned = [
                found[1].replace('\\"', '"').replace("\\\\", "\\") for each in warnings if (found := _WARNING.fullmatch(each))
            ]
            if _IN_FORCE in warned:
                return taken, warned
            time.sleep(0.1)
        raise TimeoutError(f"the policy {self.name} is not in force")
