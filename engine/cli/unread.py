"""Of an object of one of the engine's own kinds: whether an operator has read it as it is now, and if not, whether one runs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from math import inf
from typing import NamedTuple

from engine.errors import ApiError
from engine.kube.api import Api, Selection
from engine.kube.leases import LEASE, LEASE_DURATION
from engine.model.objects import Object, dig, ref_of
from engine.operator.settings import LEASE_NAME
from engine.packs.sources import OwnObject

FRESH = 4 * LEASE_DURATION
"""Seconds for which a Lease that was not renewed may yet be held, as another machine's clock has it."""


def unread(obj: Object) -> str:
    """Return that a status is not about the spec as it is now; '' where it is."""
    newest, read = (dig(obj, path, 0) for path in (("metadata", "generation"), ("status", "observedGeneration")))
    if not dig(obj, ("status", "conditions"), ()):
        return "no operator has written its status yet"
    if read == newest:
        return ""
    return f"not yet read since the last change: this is about generation {read}, and the newest is {newest}"


def unexplained(faulty: Mapping[str, str], objects: Iterable[Object], explained: Collection[str] = ()) -> Iterator[str]:
    """Yield sentences that say of sources with faults, each with its first, which text is explained, or why none is.

    `objects` are those of the engine's kinds; of the sources `explained` the last good text is.

    A reference is in force with the text that it refers to, of which its status does not say which one that is.
    """
    read = {OwnObject.of(obj).file: obj for obj in objects if not {"shipped", "configMap"} & dig(obj, ("spec",), {}).keys()}
    kept = {source: dig(read.get(source, {}), ("status", "generationInForce"), None) for source in sorted(faulty)}
    hint = "`kubectl get rulepacks,rulelibraries,configmaps -o yaml` has their faults"
    for source in sorted(explained):
        yield f"{source}: the newest text is refused, and the last good one, which is in force, is explained: {faulty[source]}"
    kept = {source: generation for source, generation in kept.items() if source not in explained}
    if others := [source for source, generation in kept.items() if generation is None]:
        yield f"what is not in force cannot be explained: {', '.join(others)}; {hint}"
    for source, generation in kept.items():
        if generation is not None:
            yield (
                f"{source} is not explained: its newest text is refused, and the last good one, generation {generation}, is in "
                f"force, which only the operator has: --engine URL asks it; {faulty[source]}"
            )


async def who_reads(api: Api, namespace: str, now: datetime) -> str:
    """Return in a sentence whether an operator runs in a namespace, as its Lease shows, and which command shows its log."""
    command = f"kubectl logs -n {namespace} deployment/{LEASE_NAME}"
    try:
        leases = (await api.list(Selection(LEASE, namespace))).items
    except ApiError as error:
        return (
            f"either no operator runs in namespace {namespace}, or it may not write the status; its Lease says which, "
            f"which could not be read ({error.reason or error}), and its log why: {command}"
        )
    for each in filter(_Election.held, _elections(leases, now)):
        runs = "an operator runs" if each.age < LEASE_DURATION else "perhaps no operator runs any more"
        since = f"last renewed {max(each.age, 0):.0f} s ago"
        return (
            f"{runs} ({each.holder} holds Lease {namespace}/{each.name}, {since}): where this stays so for more than some "
            f"seconds and the Lease is renewed, it may not write the status; its log says why: {command}"
        )
    return f"none holds a Lease {LEASE_NAME} in namespace {namespace}: no operator runs there, unless by another --lease-name"


async def stopped(api: Api, namespace: str, now: datetime) -> str:
    """Return in a sentence that no operator runs in a namespace any more, as its Lease shows; '' where one does or nobody knows.

    A Lease that is released says so at once, one that is not renewed after a while: its holder may have been killed.
    """
    try:
        leases = (await api.list(Selection(LEASE, namespace))).items
    except ApiError:
        return ""
    elections = _elections(leases, now)
    if not elections or any(map(_Election.held, elections)):
        return ""
    last = elections[0]
    since = f"{datetime.fromisoformat(last.renewed).astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    why = f"Lease {last.name} is {'not renewed' if last.holder else 'released'}"
    return (
        f"no operator runs in namespace {namespace} since {since} ({why}), unless by another --lease-name: what statuses say is "
        "of then, and no rule acts"
    )


class _Election(NamedTuple):
    """A Lease by which one of several replicas is chosen: who holds it, '' where it is released, and when it was last renewed."""

    name: str
    holder: str
    renewed: str
    age: float

    def held(self) -> bool:
        """Return whether its holder may run."""
        return bool(self.holder) and self.age < FRESH


def _elections(leases: Iterable[Object], now: datetime) -> list[_Election]:
    """Return the Leases of operators, the one that was renewed last first; none that nobody has ever renewed."""
    found = []
    for lease in leases:
        name, spec = ref_of(lease).name, dig(lease, ("spec",), {})
        age = _age(renewed := str(spec.get("renewTime", "")), now)
        if name.startswith(LEASE_NAME) and age < inf:
            found.append(_Election(name, str(spec.get("holderIdentity", "")), renewed, age))
    return sorted(found, key=lambda each: each.age)


def _age(time: str, now: datetime) -> float:
    """Return how many seconds ago a time was, infinity where it is none."""
    try:
        return (now - datetime.fromisoformat(time)).total_seconds()
    except (ValueError, TypeError):
        return inf
