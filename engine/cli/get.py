"""`rulepack get`: the packs of a cluster, and what each of their rules has done."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import click

from engine.cli.arguments import Cluster, cluster_options
from engine.errors import ApiError, RulepackError
from engine.kube.api import Selection
from engine.model.objects import Object, dig, ref_of
from engine.model.text import clean, suggestion
from engine.packs.rbac import RULE_PACK

HEAD = ("NAMESPACE", "NAME", "MODE", "READY", "RULE", "FIRED", "FAILED", "WAITING", "LAST")
NOTHING = "-"

EXAMPLES = """\b
Examples:
  rulepack get                                  every pack of the cluster
  rulepack get my-pack other-pack -n rulepack-system
"""


@click.command(epilog=EXAMPLES)
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("-n", "--namespace", default="", metavar="NAME", help="Only RulePacks of this namespace. Default: of all.")
@click.option("-A", "--all-namespaces", "everywhere", is_flag=True, help="RulePacks of all namespaces, whatever -n says.")
@cluster_options
def get(names: tuple[str, ...], namespace: str, everywhere: bool, cluster: Cluster) -> None:
    """Write a line for each rule of each RulePack: how often it acted and failed for good, how many items wait, and on which
    object it last acted; below it why a pack is not ready and what rules wait for. Counts are approximate.

    Only needs list on rulepacks.
    """
    namespace = "" if everywhere else namespace
    objects = asyncio.run(_objects(namespace, cluster))
    there = [ref_of(obj).name for obj in objects]
    found = [obj for obj in objects if not names or ref_of(obj).name in names]
    where = f"namespace {namespace}" if namespace else "any namespace"
    for line in table(found) if found else ():
        click.echo(line)
    unknown = [name for name in names if name not in there]
    missing = [f"there is no RulePack {name!r} in {where}; expected {suggestion(name, there)}" for name in unknown]
    if not objects and not names:
        missing = [f"there is no RulePack in {where}; expected one, by `kubectl apply`"]
    if missing:
        raise RulepackError("\n".join(missing))


async def _objects(namespace: str, cluster: Cluster) -> Sequence[Object]:
    """Return the RulePacks of a namespace, or of all. Raise RulepackError where the cluster does not have the kind."""
    async with cluster.connected() as api:
        try:
            resource = await api.discover(RULE_PACK)
        except ApiError as error:
            if error.status != 404:
                raise
            raise RulepackError("the cluster has no RulePacks; `kubectl apply -k config/crd` adds the kind") from error
        return (await api.list(Selection(resource, namespace))).items


class _Row(NamedTuple):
    """The columns of a line, and what is written below it."""

    columns: tuple[str, ...]
    notes: Sequence[str] = ()


def table(objects: Sequence[Object]) -> Iterator[str]:
    """Yield the lines of the table."""
    rows = [_Row(HEAD), *(row for obj in objects for row in _rows(obj))]
    widths = [max(len(row.columns[index]) for row in rows) for index in range(len(HEAD))]
    for row in rows:
        yield "   ".join(text.ljust(width) for text, width in zip(row.columns, widths, strict=True)).rstrip()
        yield from (f"    {clean(note)}" for note in row.notes)


def _rows(obj: Object) -> Iterator[_Row]:
    """Yield a row for each rule; one without where no rule is in force."""
    ref, status = ref_of(obj), dig(obj, ("status",), {})
    conditions = {each["type"]: each for each in status.get("conditions", ())}
    ready = conditions.get("Ready", {})
    message = ready.get("message", "no operator has read it yet")
    notes = [note for note in [message.partition("; ")[2]] if note] if ready.get("status") == "True" else [message]
    notes += [f"{fault['path']}: {fault['message']}" for fault in status.get("faults", ())]
    first = (ref.namespace, ref.name, status.get("mode", NOTHING), ready.get("status", NOTHING))
    rules = _rules(status)
    if not rules:
        yield _Row((*first, *[NOTHING] * 5), notes)
    for number, (name, parts) in enumerate(rules.items()):
        counts = (str(sum(part.get(key, 0) for part in parts)) for key in ("fired", "failed", "waiting"))
        when, last = max((part.get("lastFiring", NOTHING), part.get("lastObject", "")) for part in parts)
        waits = [f"waits: {part['waitingFor']}" for part in parts if "waitingFor" in part]
        yield _Row((*first, name, *counts, f"{when} {last}".rstrip()), [*waits, *(() if number < len(rules) - 1 else notes)])


def _rules(status: Any) -> dict[str, list[Any]]:
    """Return by name what each shard says of a rule."""
    rules: dict[str, list[Any]] = {}
    for part in status.get("parts", ()):
        for rule in part.get("rules", ()):
            rules.setdefault(rule["name"], []).append(rule)
    return rules
