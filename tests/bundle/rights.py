"""Rules of RBAC, taken apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tests.controlplane.requested import Requested

Right = tuple[str, str, str]
"""A verb, an API group ('' is the core) and a resource, with '/' and the subresource where it is one."""


def used(requests: Iterable[Requested]) -> set[Right]:
    """The rights that requests have taken."""
    return {(one.verb, one.group, one.resource) for one in requests}


def rights(rules: Sequence[Mapping[str, Any]]) -> set[Right]:
    """Each single right of some rules, whatever names they are bound to."""
    return {
        (verb, group, resource)
        for rule in rules
        for verb in rule["verbs"]
        for group in rule.get("apiGroups", ())  # a rule about paths has none
        for resource in rule.get("resources", ())
    }
