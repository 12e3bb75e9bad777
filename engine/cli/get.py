"""`rulepack get`: the packs of a cluster, and what each of their rules has done."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from math import inf
from typing import Any, NamedTuple

import click

from engine.cli.arguments import Cluster, cluster_options
from engine.errors import ApiError, RulepackError
from engine.kube.api import Api, Selection
from engine.kube.leases import LEASE, LEASE_DURATION
from engine.model.objects import Object, dig, ref_of
from engine.model.text import clean, suggestion
from engine.operator.settings import LEASE_NAME
from engine.packs.rbac import RULE_PACK

HEAD = ("NAMESPACE", "NAME", "MODE", "READY", "RULE", "FIRED", "FAILED", "WAITING", "LAST")
NOTHING = "-"
FRESH = 4 * LEASE_DURATION
"""Seconds for which a Lease that was not renewed may yet be held, as another machine's clock has it."""

EXAMPLES = """\b
Examples:
  rulepack get                                  every pack of the cluster
  rulepack get my-pack rp/other-pack -n rulepack-system
"""


@click.command(epilog=EXAMPLES)
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("-n", "--namespace", default="", metavar="NAME", help="Only RulePacks of this namespace. Default: of all.")
@click.option("-A", "--all-namespaces", "everywhere", is_flag=True, help="RulePacks of all namespaces, whatever -n says.")
@cluster_options
def get(names: tuple[str, ...], namespace: str, everywhere: bool, cluster: Cluster) -> None:
    """Write a line for each rule of each RulePack: how often it acted and failed for good, how many items wait, and on which
    object it last acted; below it why a pack is not ready and what rules wait for. Counts are approximate.

    Needs list on rulepacks. Where a RulePack was not read, list on leases in its namespace lets it say whether an operator runs.
    """
    namespace = "" if everywhere else namespace
    names = tuple(re.sub("^(rp|rulepacks?)/", "", name) for name in names)  # as kubectl writes and takes them
    objects, operators = asyncio.run(_read(namespace, names, cluster))
    there = [ref_of(obj).name for obj in objects]
    found = [obj for obj in objects if not names or ref_of(obj).name in names]
    where = f"namespace {namespace}" if namespace else "any namespace"
    for line in table(found, operators) if found else ():
        click.echo(line)
    unknown = [name for name in names if name not in there]
    missing = [f"there is no RulePack {name!r} in {where}; expected {suggestion(name, there)}" for name in unknown]
    if not objects and not names:
        missing = [f"there is no RulePack in {where}; expected one, by `kubectl apply`"]
    if missing:
        raise RulepackError("\n".join(missing))


async def _read(namespace: str, names: Sequence[str], cluster: Cluster) -> tuple[Sequence[Object], Mapping[str, str]]:
    """Return the RulePacks of a namespace, or of all, and who may read those of these names that were not.

    Raise RulepackError where the cluster does not have the kind.
    """
    async with cluster.connected() as api:
        try:
            resource = await api.discover(RULE_PACK)
        except ApiError as error:
            if error.status != 404:
                raise
            raise RulepackError("the cluster has no RulePacks; `kubectl apply -k config/crd` adds the kind") from error
        objects = (await api.list(Selection(resource, namespace))).items
        unread = {ref_of(obj).namespace for obj in objects if _unread(obj) and (not names or ref_of(obj).name in names)}
        return objects, {each: await who_reads(api, each, datetime.now(UTC)) for each in sorted(unread)}


async def who_reads(api: Api, namespace: str, now: datetime) -> str:
    """Return in a sentence whether an operator runs in a namespace, as its Lease shows, and what to look at."""
    look = f"kubectl logs -n {namespace} deployment/{LEASE_NAME}"
    try:
        leases = (await api.list(Selection(LEASE, namespace))).items
    except ApiError as error:
        return (
            f"either no operator runs in namespace {namespace}, or it may not write the status; its Lease says which, "
            f"which could not be read ({error.reason or error}), and its log why: {look}"
        )
    for lease in leases:
        holder, renewed = (str(dig(lease, ("spec", key), "")) for key in ("holderIdentity", "renewTime"))
        name = ref_of(lease).name
        if name.startswith(LEASE_NAME) and holder and _age(renewed, now) < FRESH:
            return (
                f"an operator runs ({holder} holds Lease {namespace}/{name}): where this stays so for more than some seconds, it "
                f"may not write the status; its log says why: {look}"
            )
    return f"none holds a Lease {LEASE_NAME} in namespace {namespace}: no operator runs there, unless by another --lease-name"


def _age(time: str, now: datetime) -> float:
    """Return how many seconds ago a time was, infinity where it is none."""
    try:
        return (now - datetime.fromisoformat(time)).total_seconds()
    except (ValueError, TypeError):
        return inf


def _unread(obj: Object) -> str:
    """Return that a status is not about the spec as it is now; '' where it is."""
    newest, read = (dig(obj, path, 0) for path in (("metadata", "generation"), ("status", "observedGeneration")))
    if not dig(obj, ("status", "conditions"), ()):
        return "no operator has written its status yet"
    if read == newest:
        return ""
    return f"not yet read since the last change: this is about generation {read}, and the newest is {newest}"


class _Row(NamedTuple):
    """The columns of a line, and what is written below it."""

    columns: tuple[str, ...]
    notes: Sequence[str] = ()


def table(objects: Sequence[Object], operators: Mapping[str, str] | None = None) -> Iterator[str]:
    """Yield the lines of the table. `operators` say by namespace who is to read a RulePack that was not read."""
    rows = [_Row(HEAD), *(row for obj in objects for row in _rows(obj, operators or {}))]
    widths = [max(len(row.columns[index]) for row in rows) for index in range(len(HEAD))]
    for row in rows:
        yield "   ".join(text.ljust(width) for text, width in zip(row.columns, widths, strict=True)).rstrip()
        yield from (f"    {clean(note)}" for note in row.notes)


def _rows(obj: Object, operators: Mapping[str, str]) -> Iterator[_Row]:
    """Yield a row for each rule; one without where no rule is in force."""
    ref, status = ref_of(obj), dig(obj, ("status",), {})
    ready: Mapping[str, str] = next((each for each in status.get("conditions", ()) if each["type"] == "Ready"), {})
    unread, notes = _unread(obj), _notes(status, ready)
    if unread:
        notes = ["; ".join(filter(None, (unread, operators.get(ref.namespace, "")))), *notes]
    is_ready = "Unknown" if unread and ready else ready.get("status", NOTHING)
    first = (ref.namespace, ref.name, status.get("mode", NOTHING), is_ready)
    rules = _rules(status)
    if not rules:
        yield _Row((*first, *[NOTHING] * 5), notes)
    for number, (name, parts) in enumerate(rules.items()):
        counts = (str(sum(part.get(key, 0) for part in parts)) for key in ("fired", "failed", "waiting"))
        when, last = max((part.get("lastFiring", NOTHING), part.get("lastObject", "")) for part in parts)
        audited = sum(part.get("audited", 0) for part in parts)
        said = [f"would have fired in Audit: {audited}"] if audited else []
        if f"rule {name} waits" not in ready.get("message", ""):
            said += [f"waits: {part['waitingFor']}" for part in parts if "waitingFor" in part]
        yield _Row((*first, name, *counts, f"{when} {last}".rstrip()), [*said, *(() if number < len(rules) - 1 else notes)])


def _notes(status: Mapping[str, Any], ready: Mapping[str, str]) -> list[str]:
    """Return what there is to say of a pack as a whole: why it is not ready, its faults, and what may not be meant in it."""
    message = ready.get("message", "")
    notes = [message.partition("; ")[2] if ready.get("status") == "True" else message]
    notes += [f"{fault['path']}: {fault['message']}" for fault in status.get("faults", ())]
    notes += [f"warning: {each['path']}: {each['message']}" for each in status.get("warnings", ())]
    return [note for note in notes if note]


def _rules(status: Any) -> dict[str, list[Any]]:
    """Return by name what each shard says of a rule."""
    rules: dict[str, list[Any]] = {}
    for part in status.get("parts", ()):
        for rule in part.get("rules", ()):
            rules.setdefault(rule["name"], []).append(rule)
    return rules
