"""`rulepack get`: the packs of a cluster, what each of their rules has done, and the libraries that they call."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import click

from engine.cli.arguments import NAMESPACE_NAME, Cluster, cluster_options
from engine.cli.manifest import as_yaml
from engine.cli.unread import stopped, unread, who_reads
from engine.errors import ApiError, RulepackError, UsageError
from engine.kube.api import Api, Selection
from engine.model.objects import Kind, Object, dig, ref_of
from engine.model.text import clean, nearest, suggestion
from engine.packs.rbac import RULE_LIBRARY, RULE_PACK

HEAD = ("NAMESPACE", "NAME", "MODE", "READY", "RULE", "FIRED", "FAILED", "WAITING", "LAST")
LIBRARY_HEAD = ("NAMESPACE", "LIBRARY", "FUNCTIONS", "READY", "USED BY")
NOTHING = "-"

EXAMPLES = """\b
Examples:
  rulepack get                                  every pack and every library of the cluster
  rulepack get my-pack rp/other-pack -n rulepack-system
  rulepack get my-pack -o yaml                  the object, with its whole status
"""


WRITTEN = ("yaml", "json", "name")
"""The formats that have the objects themselves."""


class Output(click.ParamType[str]):
    """A format, '' for the table; kubectl takes `-o=yaml` too, of which click leaves the '='."""

    name = "text"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the format. Raise UsageError for one that there is not."""
        style = value.removeprefix("=")
        if style not in ("", "wide", *WRITTEN):
            others = "" if nearest(style, WRITTEN) else f"; for others, kubectl get rulepacks,rulelibraries -o {style}"
            raise UsageError(f"-o {style}: there is no such format; expected yaml, json, name or wide{others}")
        return style


def written(packs: Sequence[Object], libraries: Sequence[Object], style: str, *, single: bool) -> str:
    """Return objects as kubectl writes them: without managedFields, and in a list unless a `single` one was asked for.

    Return '' where there are none but those that were asked for.
    """
    kinds = [*((RULE_PACK, each) for each in packs), *((RULE_LIBRARY, each) for each in libraries)]
    if style == "name":
        group = RULE_PACK.api_version.partition("/")[0]
        return "".join(f"{kind.kind.lower()}.{group}/{ref_of(obj).name}\n" for kind, obj in kinds)
    objects = [_shown(kind, obj) for kind, obj in kinds]
    if single and not objects:
        return ""
    whole: Object = {"apiVersion": "v1", "kind": "List", "items": objects, "metadata": {"resourceVersion": ""}}
    if single and len(objects) == 1:
        (whole,) = objects
    return as_yaml(whole, marked=False) if style == "yaml" else json.dumps(whole, indent=4, ensure_ascii=False) + "\n"


def _shown(kind: Kind, obj: Object) -> Object:
    """Return an object with the keys that an item of a list may lack, and without those that kubectl leaves out."""
    metadata = {key: value for key, value in obj["metadata"].items() if key != "managedFields"}
    return {"apiVersion": kind.api_version, "kind": kind.kind, **obj, "metadata": metadata}


@click.command(epilog=EXAMPLES)
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option(
    "-n", "--namespace", default="", type=NAMESPACE_NAME, metavar="NAME", help="Only what is in this namespace. Default: in all."
)
@click.option("-A", "--all-namespaces", "everywhere", is_flag=True, help="What is in all namespaces, whatever -n says.")
@click.option(
    "-o",
    "--output",
    "style",
    default="",
    type=Output(),
    metavar="FORMAT",
    help="yaml, json or name: the objects themselves, as kubectl writes them. wide: the table, which has every column anyway.",
)
@cluster_options
def get(names: tuple[str, ...], namespace: str, everywhere: bool, style: str, cluster: Cluster) -> None:
    """Write a line for each rule of each RulePack: how often it acted and failed for good, how many items wait, and on which
    object it last acted; below it why a pack is not ready and what rules wait for. Counts are approximate.

    Then a line for each RuleLibrary: how many functions it has and which packs call them; below it why it is not ready.

    Needs list on rulepacks and rulelibraries. With list on leases in their namespaces it also says
    whether an operator runs.
    """
    namespace = "" if everywhere else namespace
    names = tuple(re.sub("^(rp|rulepacks?|rulelibrar(y|ies))/", "", name) for name in names)  # as kubectl writes and takes them
    packs, libraries, operators, gone = asyncio.run(_read(namespace, names, cluster))
    there = [ref_of(obj).name for obj in (*packs, *libraries)]
    where = f"namespace {namespace}" if namespace else "any namespace"
    packs, libraries = _named(packs, names), _named(libraries, names)
    if style in WRITTEN:
        click.echo(written(packs, libraries, style, single=len(names) == 1), nl=False)
    else:
        rules, functions = [*table(packs, operators, gone)], [*libraries_table(libraries, operators, gone)]
        for line in [*rules, *([""] if rules and functions else ()), *functions]:
            click.echo(line)
    for warning in gone.values():
        click.echo(f"Warning: {warning}", err=True)
    unknown = [name for name in names if name not in there]
    missing = [f"there is no RulePack or RuleLibrary {name!r} in {where}; expected {suggestion(name, there)}" for name in unknown]
    if not there and not names:
        missing = [f"there is no RulePack in {where}; expected one, by `kubectl apply`"]
    if missing:
        raise RulepackError("\n".join(missing))


def _named(objects: Sequence[Object], names: Sequence[str]) -> list[Object]:
    return [obj for obj in objects if not names or ref_of(obj).name in names]


async def _read(
    namespace: str, names: Sequence[str], cluster: Cluster
) -> tuple[Sequence[Object], Sequence[Object], Mapping[str, str], Mapping[str, str]]:
    """Return the RulePacks and the RuleLibraries of a namespace, or of all, and who is to read those of `names` that were not.

    The latter is a sentence for each of their namespaces. The last is one for each namespace in which no operator runs any more.
    """
    async with cluster.connected() as api:
        packs, libraries = await _objects(api, namespace)
        named, now = _named([*packs, *libraries], names), datetime.now(UTC)
        places = {ref_of(obj).namespace for obj in named if unread(obj)}
        operators = {each: await who_reads(api, each, now) for each in sorted(places)}
        read = sorted({ref_of(obj).namespace for obj in named if not unread(obj)})
        gone = {each: said for each in read if (said := await stopped(api, each, now))}
        return packs, libraries, operators, gone


async def _objects(api: Api, namespace: str) -> tuple[Sequence[Object], Sequence[Object]]:
    """Return the RulePacks and the RuleLibraries of a namespace, or of all.

    Raise RulepackError where the cluster does not have the kind RulePack. RuleLibraries that cannot be listed are none, with a
    warning, unless the cluster does not have that kind.
    """
    try:
        packs = await listed(api, RULE_PACK, namespace)
    except ApiError as error:
        if error.status != 404:
            raise
        raise RulepackError("the cluster has no RulePacks; `kubectl apply -k config/crd` adds the kind") from error
    try:
        return packs, await listed(api, RULE_LIBRARY, namespace)
    except ApiError as error:
        if error.status != 404:
            click.echo(f"Warning: RuleLibraries are not known: {error}", err=True)
        return packs, ()


async def listed(api: Api, kind: Kind, namespace: str) -> Sequence[Object]:
    """Return the objects of a kind in a namespace, or in all where that is ''. Raise ApiError."""
    return (await api.list(Selection(await api.discover(kind), namespace))).items


class _Row(NamedTuple):
    """The columns of a line, and what is written below it."""

    columns: tuple[str, ...]
    notes: Sequence[str] = ()


def table(objects: Sequence[Object], operators: Mapping[str, str], gone: Collection[str] = ()) -> Iterator[str]:
    """Yield the lines of the table of packs; none without packs. `operators` say by namespace who is to read what was not.

    In the namespaces `gone` no operator runs any more, so nobody knows whether what was ready is.
    """
    yield from _lines(HEAD, [row for obj in objects for row in _rows(obj, operators, gone)])


def libraries_table(objects: Sequence[Object], operators: Mapping[str, str], gone: Collection[str] = ()) -> Iterator[str]:
    """Yield the lines of the table of libraries; none without libraries. For `operators` and `gone` see `table`."""
    yield from _lines(LIBRARY_HEAD, [_library_row(obj, operators, gone) for obj in objects])


def _lines(head: tuple[str, ...], found: Sequence[_Row]) -> Iterator[str]:
    """Yield a table of these rows, none where there are none."""
    rows = [_Row(head), *found] if found else []
    widths = [max(len(row.columns[index]) for row in rows) for index in range(len(head) if rows else 0)]
    for row in rows:
        yield "   ".join(text.ljust(width) for text, width in zip(row.columns, widths, strict=True)).rstrip()
        yield from (f"    {clean(note)}" for note in row.notes)


def _rows(obj: Object, operators: Mapping[str, str], gone: Collection[str]) -> Iterator[_Row]:
    """Yield a row for each rule; one without where no rule is in force."""
    ref, status = ref_of(obj), dig(obj, ("status",), {})
    ready, notes = _ready(obj, operators, gone)
    mode = status.get("mode", NOTHING)
    rules = _rules(status)
    if not rules:
        yield _Row((ref.namespace, ref.name, mode, ready, *[NOTHING] * 5), notes)
    for number, (name, parts) in enumerate(rules.items()):
        counts = (str(sum(part.get(key, 0) for part in parts)) for key in ("fired", "failed", "waiting"))
        when, last = max((part.get("lastFiring", NOTHING), part.get("lastObject", "")) for part in parts)
        audited = sum(part.get("audited", 0) for part in parts)
        said = [f"items for which it would act, were it not in Audit: {audited}"] if audited else []
        if not any(f"rule {name} waits" in note for note in notes):
            said += [f"waits: {part['waitingFor']}" for part in parts if "waitingFor" in part]
        own = next((part["mode"] for part in parts if "mode" in part), mode)
        row = (ref.namespace, ref.name, own, ready, name, *counts, f"{when} {last}".rstrip())
        yield _Row(row, [*said, *(() if number < len(rules) - 1 else notes)])


def _library_row(obj: Object, operators: Mapping[str, str], gone: Collection[str]) -> _Row:
    """Return the row of a library."""
    ref, status = ref_of(obj), dig(obj, ("status",), {})
    ready, notes = _ready(obj, operators, gone)
    functions, packs = str(status.get("functionCount", NOTHING)), ", ".join(status.get("packs", ())) or NOTHING
    return _Row((ref.namespace, ref.name, functions, ready, packs), notes)


def _ready(obj: Object, operators: Mapping[str, str], gone: Collection[str]) -> tuple[str, list[str]]:
    """Return the status of the condition Ready, why it is that, the faults, and what may not be meant."""
    status = dig(obj, ("status",), {})
    ready: Mapping[str, str] = next((each for each in status.get("conditions", ()) if each["type"] == "Ready"), {})
    message = ready.get("message", "")
    notes = [message.partition("; ")[2] if ready.get("status") == "True" else message]
    notes += [f"{fault['path']}: {fault['message']}" for fault in status.get("faults", ())]
    notes += [f"warning: {each['path']}: {each['message']}" for each in status.get("warnings", ())]
    if older := unread(obj):
        notes = ["; ".join(filter(None, (older, operators.get(ref_of(obj).namespace, "")))), *notes]
    unknown = older or ref_of(obj).namespace in gone
    return "Unknown" if unknown and ready else ready.get("status", NOTHING), [note for note in notes if note]


def _rules(status: Any) -> dict[str, list[Any]]:
    """Return by name what each shard says of a rule."""
    rules: dict[str, list[Any]] = {}
    for part in status.get("parts", ()):
        for rule in part.get("rules", ()):
            rules.setdefault(rule["name"], []).append(rule)
    return rules
