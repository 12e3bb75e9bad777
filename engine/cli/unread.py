"""Of an object of one of the engine's own kinds: whether an operator has read it as it is now, and if not, whether one runs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from math import inf

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
    for lease in leases:
        holder, renewed = (str(dig(lease, ("spec", key), "")) for key in ("holderIdentity", "renewTime"))
        name = ref_of(lease).name
        if name.startswith(LEASE_NAME) and holder and _age(renewed, now) < FRESH:
            return (
                f"an operator runs ({holder} holds Lease {namespace}/{name}): where this stays so for more than some seconds, it "
                f"may not write the status; its log says why: {command}"
            )
    return f"none holds a Lease {LEASE_NAME} in namespace {namespace}: no operator runs there, unless by another --lease-name"


async def stopped(api: Api, namespace: str, now: datetime) -> str:
    """Return in a sentence that no operator runs in a namespace any more, as its Lease shows; '' where one does or nobody knows.

    A Lease that is released and not taken yet, as in a rolling update, counts as held for as long as one that is not renewed.
    """
    try:
        leases = (await api.list(Selection(LEASE, namespace))).items
    except ApiError:
        return ""
    own = (dig(lease, ("spec",), {}) for lease in leases if ref_of(lease).name.startswith(LEASE_NAME))
    last = min(
        (str(spec.get("renewTime", "")) for spec in own if "holderIdentity" in spec), key=lambda time: _age(time, now), default=""
    )
    if not FRESH <= _age(last, now) < inf:
        return ""
    since = f"{datetime.fromisoformat(last).astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return (
        f"no operator runs in namespace {namespace} since {since}, unless by another --lease-name: what statuses say is of then, "
        "and no rule acts"
    )


def _age(time: str, now: datetime) -> float:
    """Return how many seconds ago a time was, infinity where it is none."""
    try:
        return (now - datetime.fromisoformat(time)).total_seconds()
    except (ValueError, TypeError):
        return inf
