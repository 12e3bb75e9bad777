"""Which objects an informer holds, and what it is doing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from engine.model.objects import Kind


@dataclass(frozen=True, slots=True, order=True)
class InformerKey:
    """Which objects an informer holds: a kind, a namespace ('' spans all), a label and a field selector."""

    kind: Kind
    namespace: str = ""
    labels: str = ""
    fields: str = ""

    def __str__(self) -> str:
        where = f"namespace {self.namespace}" if self.namespace else "all namespaces"
        selectors = ", ".join(part for part in (self.labels, self.fields) if part)
        return f"{self.kind} in {where}" + (f" ({selectors})" if selectors else "")


class State(StrEnum):
    """What an informer is doing."""

    STARTING = "starting"
    WAITING = "waiting"
    WATCHING = "watching"
    FAILING = "failing"
