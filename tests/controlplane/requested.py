"""Requests, as the audit log of an API server has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True, order=True)
class Requested:
    """A verb on a resource (with '/' and the subresource, where it is one) and where; '' stands for all."""

    verb: str
    group: str
    resource: str
    namespace: str
    name: str

    @classmethod
    def of(cls, verb: str, about: Mapping[str, str]) -> Self:
        """Of a verb and the objectRef of an audit event."""
        resource = "/".join(filter(None, (about["resource"], about.get("subresource"))))
        return cls(verb, about.get("apiGroup", ""), resource, about.get("namespace", ""), about.get("name", ""))
