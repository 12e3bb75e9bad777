"""What is in force on a cluster, as far as it may be read: packs, flags and params, since when, and params found there.

What cannot be read is printed as a warning, and done without.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from engine.cli.last_good import LastGood, earlier
from engine.cli.running import ask
from engine.cli.unread import unexplained
from engine.errors import ApiError
from engine.kube.api import Api, Selection
from engine.kube.leases import Leases
from engine.model.objects import Kind, Object, annotations_of, dig
from engine.operator.in_force import NAME as IN_FORCE
from engine.operator.in_force import times_of
from engine.operator.pack_sources import CONFIG_MAP, FLAGS, PACK_SELECTOR, PARAMS
from engine.packs.catalog import Catalog
from engine.packs.discovery import discovered, discoveries
from engine.packs.rbac import RULE_LIBRARY, RULE_PACK
from engine.packs.sources import Text
from engine.packs.store import PackStore

if TYPE_CHECKING:
    from engine.kube.kubernetes import KubernetesApi


async def dated(api: Api, catalog: Catalog, namespace: str) -> Catalog:
    """Return the catalog with the times at which its rules came into force, where the Lease that has them may be read."""
    try:
        lease = await Leases(api, namespace).get(IN_FORCE)
    except ApiError as error:
        message = f"since when rules are in force, which existing goes by, is not known: Lease {namespace}/{IN_FORCE}: {error}"
        click.echo(f"Warning: {message}", err=True)
        return catalog
    known = {} if lease is None else times_of(annotations_of(lease))
    return catalog.dated(known, datetime.now(UTC).replace(microsecond=0))


async def with_found_params(api: Api, catalog: Catalog) -> Catalog:
    """Return the catalog with the values of params that the cluster says."""
    found = {}
    for discovery in discoveries(catalog):
        try:
            selection = Selection(await api.discover(discovery.kind), "", discovery.labels, discovery.fields)
            found[discovery] = (await api.list(selection)).items
        except ApiError as error:
            if error.status != 404:
                click.echo(f"Warning: {discovery.kind} cannot be listed, so parameters have their defaults: {error}", err=True)
    catalog, faults = discovered(catalog, lambda discovery: found.get(discovery, ()))
    for fault in faults:
        click.echo(f"Warning: {fault}", err=True)
    return catalog


async def take_config(
    api: KubernetesApi, store: PackStore, texts: Sequence[Text], namespace: str, engine: str, *, only: bool
) -> Collection[str]:
    """Put in force what the ConfigMaps and RulePacks of the operator's namespace say, where they may be read.

    `engine` is where a running one answers; '': it is not asked.

    With `only` these are flags and params, and no packs. Of faults of packs one line is printed; what the flags and the params
    say of packs that are not explained is none of this object's business. Return the sources of which no text is explained.
    """
    try:
        resource = await api.discover(CONFIG_MAP)
        packs = () if only else (await api.list(Selection(resource, namespace, PACK_SELECTOR))).items
        named = {
            name: (await api.list(Selection(resource, namespace, fields=f"metadata.name={name}"))).items
            for name in (FLAGS, PARAMS)
        }
    except ApiError as error:
        click.echo(f"Warning: feature flags, parameters and packs of namespace {namespace} are not known: {error}", err=True)
        return ()
    flags, params = (dig(next(iter(named[name]), {}), ("data",), {}) for name in (FLAGS, PARAMS))
    objects = () if only else [*await _own(api, RULE_PACK, namespace), *await _own(api, RULE_LIBRARY, namespace)]
    kept = {} if only else await _last_good(engine, api.token)
    if kept:
        store.update(texts, earlier(packs, kept), flags, params, objects=earlier(objects, kept))
    reports = store.update(texts, packs, flags, params, objects=objects)
    explained = {pack.feature_flag for pack in store.catalog.packs.values()} | {
        pack.config_key for pack in store.catalog.packs.values()
    }
    settings = {f"configmap/{name}" for name in (FLAGS, PARAMS)}
    for fault in (fault for report in reports if report.source in settings for fault in report.faults):
        if fault.location.file.rpartition("/")[2] in explained:
            click.echo(f"Warning: {fault}", err=True)
    refused = {each.source: str(each.faults[0]) for each in reports if each.faults and each.source not in settings}
    in_force = {each.source for each in reports if each.source in refused and each.packs}
    for line in unexplained(refused, objects, in_force):
        click.echo(f"Warning: {line}", err=True)
    return refused.keys() - in_force


async def _last_good(engine: str, token: str) -> LastGood:
    """Return the last good texts of what is refused, where a running engine is asked, and says so."""
    found = await ask(engine, token) if engine else {}
    return {} if isinstance(found, str) else found.get("lastGood", {})  # that it does not answer is said of the object


async def _own(api: Api, kind: Kind, namespace: str) -> Sequence[Object]:
    """Return the objects of one of the engine's own kinds in the operator's namespace; none where that is not served."""
    try:
        return (await api.list(Selection(await api.discover(kind), namespace))).items
    except ApiError as error:
        if error.status != 404:
            click.echo(f"Warning: those of kind {kind.kind} in namespace {namespace} are not known: {error}", err=True)
        return ()
