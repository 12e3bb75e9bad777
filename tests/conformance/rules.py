"""CEL that people wrote: rules of CustomResourceDefinitions and expressions of ValidatingAdmissionPolicies of Go modules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from tests.conformance.modules import module

MODULES = (
    "github.com/openshift/api",
    "k8s.io/kubernetes",
    "sigs.k8s.io/cluster-api",
    "sigs.k8s.io/gateway-api",
    "sigs.k8s.io/karpenter",
)
#: OpenShift's folder of definitions that each hold the fields of one feature gate, while rules of others stand in them.
PARTIAL = "zz_generated.featuregated-crd-manifests"
#: What such expressions may name: those of CustomResourceDefinitions, and those of policies.
VARIABLES = ("self", "oldSelf", "object", "oldObject", "request", "params", "variables", "namespaceObject", "authorizer")
_POLICY_LISTS = ("validations", "matchConditions", "variables")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def expressions(name: str) -> set[str]:
    """All expressions in the YAML files of a module, each once."""
    found: set[str] = set()
    for path in module(name).rglob("*.yaml"):
        text = path.read_bytes()
        if b"x-kubernetes-validations" in text or b"kind: ValidatingAdmissionPolicy" in text:
            for document in _documents(text):
                found.update(_expressions(document))
    return found


def _documents(text: bytes) -> list[Any]:
    try:
        return list(yaml.load_all(text, Loader=_LOADER))
    except yaml.YAMLError:
        return []  # test data that is no YAML, such as a template


def _expressions(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for rule in _rules(value):
            yield from (rule[key] for key in ("rule", "expression", "messageExpression") if isinstance(rule.get(key), str))
        for item in value.values():
            yield from _expressions(item)
    elif isinstance(value, list):
        for item in value:
            yield from _expressions(item)


def _rules(value: dict[str, Any]) -> list[dict[str, Any]]:
    found = list(value.get("x-kubernetes-validations") or ())
    if value.get("kind") == "ValidatingAdmissionPolicy" and isinstance(spec := value.get("spec"), dict):
        for key in _POLICY_LISTS:
            found += spec.get(key) or ()
    return [rule for rule in found if isinstance(rule, dict)]


def definitions(text: bytes) -> Iterator[dict[str, Any]]:
    """The CustomResourceDefinitions with rules that a text holds."""
    if b"x-kubernetes-validations" in text and b"kind: CustomResourceDefinition" in text:
        yield from (
            each for each in _documents(text) if isinstance(each, dict) and each.get("kind") == "CustomResourceDefinition"
        )


def rules(value: Any) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield each schema below a value together with each rule of it."""
    if isinstance(value, dict):
        found = value.get("x-kubernetes-validations")
        yield from ((value, rule) for rule in found if isinstance(rule, dict)) if isinstance(found, list) else ()
        for item in value.values():
            yield from rules(item)
    elif isinstance(value, list):
        for item in value:
            yield from rules(item)
