"""`rulepack explain`: why a rule fires for an object, or what keeps it from firing."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from engine.cel import backend
from engine.cli.arguments import (
    NAMESPACE_NAME,
    Cluster,
    check_flags,
    cluster_options,
    flags_option,
    format_option,
    no_packs,
    paths_option,
)  # fmt: skip
from engine.cli.cluster_config import dated, take_config, with_found_params
from engine.cli.explained import as_json, as_text
from engine.cli.running import ask
from engine.cli.unread import stopped
from engine.errors import ApiError, InvalidText, Location, RulepackError, UsageError
from engine.kube.clock import SystemClock
from engine.model.names import misnamed
from engine.model.objects import Kind, Object, Resource, kind_of, metadata, ref_of
from engine.model.plurals import guessed_resource
from engine.operator.settings import own_namespace, parse_flags
from engine.packs.catalog import Catalog
from engine.packs.sources import Text, load_folder, shipped_rules, text_of
from engine.packs.store import PackStore
from engine.packs.yamltext import read_yaml
from engine.testing.explain import Explanation
from engine.testing.explain import explain as explain_object
from engine.testing.known import joined
from engine.testing.schema import DEFAULT_NAMESPACE
from engine.testing.world import World

if TYPE_CHECKING:
    from engine.kube.kubernetes import KubernetesApi

EXAMPLES = """\b
Examples:
  rulepack explain job.yaml                     offline; further objects in the file are there too
  kubectl get deployment web -o yaml | rulepack explain - --rules my-rules
  rulepack explain deploy/web -n shop           live; only reads, with your kubeconfig's rights
  rulepack explain deployment web -n shop --all every rule, those that are Off or about deletions included
"""


_PACK_WORDS = frozenset({"rp", "rulepack", "rulepacks"})
ASK = """
What only the running engine knows (timers, waits, suspensions) is not in this. To ask it, too:
  LEADER=$(kubectl get lease rulepack -n {namespace} -o jsonpath='{{.spec.holderIdentity}}' | cut -d_ -f1)
  kubectl port-forward -n {namespace} "pod/$LEADER" 8443 &
  rulepack explain … --engine https://localhost:8443"""


class Where(NamedTuple):
    """Where an object of a cluster is: how the cluster is reached, the object's namespace and the operator's, and where a running
    engine answers ('': it is not asked)."""

    cluster: Cluster
    namespace: str
    operator: str
    engine: str


def where_options(command: Callable[..., Any]) -> Any:
    """Give a command `--namespace`, `--operator-namespace`, `--engine` and what reaches a cluster, as its parameter `where`."""

    @wraps(command)
    def located(*args: Any, cluster: Cluster, namespace: str, operator_namespace: str | None, engine: str, **others: Any) -> Any:
        where = Where(cluster, namespace, own_namespace(operator_namespace, os.environ), engine)
        return command(*args, where=where, **others)

    own = click.option(
        "--operator-namespace", type=NAMESPACE_NAME, metavar="NAME",
        help="Where feature flags, parameters and ConfigMap packs are.",
    )  # fmt: skip
    running = click.option(
        "--engine", default="", metavar="URL",
        help="Ask a running engine for timers, waits and suspensions: https://localhost:8443 after `kubectl port-forward`.",
    )  # fmt: skip
    theirs = click.option(
        "-n", "--namespace", default=DEFAULT_NAMESPACE, show_default=True, type=NAMESPACE_NAME,
        help="Namespace of the object in the cluster.",
    )  # fmt: skip
    return theirs(cluster_options(own(running(located))))


@click.command(epilog=EXAMPLES)
@click.argument("target", nargs=-1, required=True, metavar="OBJECT.yaml | KIND/NAME | KIND NAME")
@paths_option("--rules", "The only rule packs to explain; may be repeated. Default: the shipped ones, and the cluster's.")
@flags_option
@where_options
@click.option("--all", "everything", is_flag=True, help="Show also rules that are Off, or that are not about this object.")
@format_option("text", "json")
def explain(
    target: tuple[str, ...], rules: tuple[Path, ...], feature_flags: tuple[str, ...], where: Where, everything: bool, style: str
) -> None:
    """Say for each rule of each pack that watches an object: its conditions with the values that they read, the firing
    record, and the first thing that keeps it from firing; of a rule that would fire, the steps with their differences.

    KIND is what kubectl takes, such as deploy, po or deployments.apps. Nothing is written, and only get and list are needed.
    """
    flags = parse_flags(feature_flags)
    store = PackStore(backend(), flags)
    texts = load_folder(rules or (shipped_rules(),))
    faults = [fault for report in store.update(texts) for fault in report.faults]
    if faults:
        raise InvalidText(faults)
    if not store.catalog.packs:
        raise no_packs(rules)
    live = False
    match target:
        case [file] if file == "-" or Path(file).exists() or file.endswith((".yaml", ".yml", ".json")):
            check_flags(flags, store.catalog.feature_flags)
            explanations = asyncio.run(_offline(store.catalog, file, _objects(file)))
        case [one] if "/" in one:
            word, _, name = one.partition("/")
            live, explanations = True, asyncio.run(_live(store, texts, (word, name), where, flags, only=bool(rules)))
        case [word, name]:
            live, explanations = True, asyncio.run(_live(store, texts, (word, name), where, flags, only=bool(rules)))
        case _:
            wrong = f"there is no file {target[0]}" if len(target) == 1 else f"{len(target)} words name no object"
            raise UsageError(f"{wrong}; expected a manifest, or KIND/NAME or KIND NAME of an object in a cluster")
    if style == "json":
        click.echo(json.dumps([as_json(each) for each in explanations], indent=2, ensure_ascii=False))
    else:
        click.echo("\n\n".join("\n".join(as_text(each, everything=everything)) for each in explanations))
        if live and not where.engine:
            click.echo(ASK.format(namespace=where.operator))


def _objects(name: str) -> list[Object]:
    """Return the objects of a file, those in Lists included. Raise InvalidText and UsageError."""
    objects: list[Object] = []
    for text in [text_of(sys.stdin.buffer, "<stdin>")] if name == "-" else load_folder([Path(name)]):
        if text.faults:
            raise InvalidText(text.faults)
        for document in read_yaml(text.text, partial(Location, text.file)):
            value = document.value
            items = value.get("items") if isinstance(value, dict) else None
            for item in items if isinstance(items, list) else [value]:
                wrong = misnamed(ref_of(item)) if isinstance(item, dict) else "it is not a mapping"
                if wrong:
                    raise UsageError(f"{document.locate(())}: this is not a Kubernetes object: {wrong}")
                objects.append(item)
    if not objects:
        raise UsageError(f"{name}: there is no object; expected a manifest")
    return objects


async def _offline(catalog: Catalog, target: str, objects: Sequence[Object]) -> list[Explanation]:
    """Explain those objects that a pack watches, on a cluster that holds all of them."""
    clock = SystemClock()
    world = World(catalog, clock.time())
    for pack in catalog.packs.values():
        for kind in (*pack.watches, *(target.kind for target in pack.targets if target.kind.kind != "*")):
            await world.serve(kind)
    watched = []
    for given in objects:
        await world.serve(kind_of(given))
        resource = await world.cluster.discover(kind_of(given))
        given_namespace = {"namespace": DEFAULT_NAMESPACE} if resource.namespaced else {}
        kept = {key: value for key, value in metadata(given).items() if key not in ("resourceVersion", "managedFields")}
        obj = {**given, "metadata": {**given_namespace, **kept}}
        await world.apply(obj)
        if catalog.for_kind(kind_of(obj)):
            there = await world.get(kind_of(obj), kept["name"], obj["metadata"].get("namespace", ""))
            watched.append({**there, "metadata": {**there["metadata"], **obj["metadata"]}})
    if not watched:
        watched_kinds = ", ".join(sorted({str(kind) for pack in catalog.packs.values() for kind in pack.watches}))
        raise RulepackError(f"{target}: no pack watches {kind_of(objects[0])}; packs watch {watched_kinds}")
    return [await explain_object(world.cluster, clock, catalog, obj) for obj in watched]


async def _live(
    store: PackStore, texts: Sequence[Text], target: tuple[str, str], where: Where, flags: Collection[str], *, only: bool
) -> list[Explanation]:
    """Explain the object of a word for its kind and a name; with `only` no packs are read from the cluster."""
    async with where.cluster.connected() as api:
        unread = await take_config(api, store, texts, where.operator, where.engine, only=only)
        if gone := await stopped(api, where.operator, datetime.now(UTC)):
            click.echo(f"Warning: {gone}", err=True)
        check_flags(flags, store.catalog.feature_flags)
        catalog = await with_found_params(api, await dated(api, store.catalog, where.operator))
        resource = await _resource(api, catalog, target[0], unread)
        obj = await api.get(resource, where.namespace if resource.namespaced else "", target[1])
        explanation = await explain_object(api, SystemClock(), catalog, obj)
        if where.engine:
            known = await ask(where.engine, api.token, ref_of(obj))
            if isinstance(known, str):
                click.echo(f"Warning: the engine at {where.engine} does not say what it knows: {known}", err=True)
            else:
                explanation = joined(explanation, known)
        return [explanation]


async def _resource(api: KubernetesApi, catalog: Catalog, word: str, unread: Collection[str]) -> Resource:
    """Return the resource that a word means, of those that packs watch: as kubectl takes it, or the capitals of a long name.

    Raise UsageError where it means none, or several; packs of the sources `unread` are not among them.
    """
    name, _, group = word.lower().partition(".")
    kinds = list(dict.fromkeys(kind for pack in catalog.packs.values() for kind in pack.watches))
    found = []
    for kind in kinds:
        version = kind.api_version.rpartition("/")[2]
        if group and group not in (kind.group, f"{version}.{kind.group}".rstrip(".")):
            continue
        capitals = "".join(char for char in kind.kind if char.isupper()).lower()
        if name in {kind.kind.lower(), guessed_resource(kind).plural, capitals, *await _names(api, kind)}:
            found.append(kind)
    if len(found) == 1:
        return await api.discover(found[0])
    if found:
        meant = ", ".join(f"{guessed_resource(kind).plural}.{kind.group}" for kind in found)
        raise UsageError(f"{word!r} means several kinds; expected one of {meant}")
    watched = ", ".join(sorted(kind.kind for kind in kinds))
    if name in _PACK_WORDS:
        expected = f"expected an object that packs watch ({watched}); `rulepack get` says how packs fare"
        raise UsageError(f"{word!r} means a pack, which explain does not take; {expected}")
    besides = f"; not counting {', '.join(sorted(unread))}: see the warning" if unread else ""
    raise UsageError(f"{word!r} is neither a file nor a kind that a pack watches; packs watch {watched}{besides}")


async def _names(api: KubernetesApi, kind: Kind) -> Collection[str]:
    """Return what kubectl calls a kind; nothing where the cluster does not serve it."""
    try:
        return await api.names(kind)
    except ApiError as error:
        if error.status != 404:
            raise
        return ()
