"""`rulepack export`: the packs and libraries that are users' own, as files to apply again."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import click

from engine.cel import Path, backend
from engine.cli.arguments import NAMESPACE_NAME, Cluster, cluster_options
from engine.cli.get import listed
from engine.cli.manifest import as_yaml
from engine.errors import ApiError, RulepackError
from engine.model.objects import Kind, Object, annotations_of, labels_of, ref_of
from engine.model.text import clean
from engine.packs.document import shown_path
from engine.packs.last_applied import LAST_APPLIED
from engine.packs.parse import parse_spec
from engine.packs.rbac import RULE_LIBRARY, RULE_PACK
from engine.packs.sources import MANAGED, LibraryObject, OwnObject, PackObject

EXAMPLES = """\b
Examples:
  rulepack export > packs.yaml                        all that is your own, of all namespaces
  rulepack export -n team-a | kubectl diff -f -       whether it is what the cluster has
  kubectl apply -f packs.yaml                         after the next installation
"""


class Exported(NamedTuple):
    """An object as it can be applied again, and a sentence for each null that is not in it."""

    manifest: Mapping[str, Any]
    left_out: Sequence[str] = ()


@click.command(epilog=EXAMPLES)
@click.option(
    "-n", "--namespace", default="", type=NAMESPACE_NAME, metavar="NAME", help="Only what is in this namespace. Default: in all."
)
@click.option("-A", "--all-namespaces", "everywhere", is_flag=True, help="What is in all namespaces, whatever -n says.")
@cluster_options
def export(namespace: str, everywhere: bool, cluster: Cluster) -> None:
    """Write the RuleLibraries and RulePacks that are your own as YAML, for `kubectl apply -f`.

    RulePacks that the operator has made for shipped packs and for packs in ConfigMaps are left out, unless somebody has set a
    mode or params there, or another key, for which they are refused. ConfigMaps are not written.

    Names, labels, annotations and the spec are written, without what the API server, the operator and kubectl add. A null that
    `kubectl apply` has noted and not sent is where you wrote it, as far as it counts; a warning names each other one.

    Needs list on rulepacks and rulelibraries.
    """
    found = asyncio.run(_read("" if everywhere else namespace, cluster))
    for each in found:
        click.echo(as_yaml(each.manifest), nl=False)
    for line in (line for each in found for line in each.left_out):
        click.echo(f"Warning: {clean(line)}", err=True)
    if not found:
        click.echo("There is no RulePack or RuleLibrary that is your own.", err=True)


async def _read(namespace: str, cluster: Cluster) -> list[Exported]:
    """Return what is to be written, libraries before the packs that call them."""
    async with cluster.connected() as api:
        try:
            packs = await listed(api, RULE_PACK, namespace)
        except ApiError as error:
            if error.status != 404:
                raise
            raise RulepackError("the cluster has no RulePacks, so there is nothing to export") from error
        try:
            libraries = await listed(api, RULE_LIBRARY, namespace)
        except ApiError as error:
            if error.status != 404:  # an export that lacks some would be taken for a whole one
                raise
            libraries = ()
    if namespace and not packs and not libraries:  # in the operator's there are those that it has made
        raise RulepackError(
            f"there is no RulePack or RuleLibrary in namespace {namespace}; expected some, or -A for all namespaces"
        )
    return [*map(exported_library, libraries), *(exported_pack(obj) for obj in packs if is_own(obj))]


def is_own(obj: Object) -> bool:
    """Return whether a RulePack says anything that the operator would not write again by itself, be it refused or not."""
    own = PackObject.of(obj)
    said = {key: value for key, value in own.spec.items() if (key, value) != ("params", {})}
    made = said in ({"shipped": own.name}, {"configMap": said.get("configMap")})
    return not (own.managed and made) or bool(own.beside)


def exported_library(obj: Object) -> Exported:
    """Return a RuleLibrary as it can be applied again."""
    own = LibraryObject.of(obj)
    return Exported({**_manifest(obj, RULE_LIBRARY, own.spec), **own.beside}, _left_out(own))


def exported_pack(obj: Object) -> Exported:
    """Return a RulePack as it can be applied again.

    Nulls that do not count are in it only where they make a fault, and so is what stands beside `spec`: else a pack that is
    refused now would be in force then.
    """
    own = PackObject.of(obj)
    refused: set[str] = set()
    if own.whole is not None and not own.reference:
        _, faults = parse_spec(own, backend())
        refused = {fault.location.path for fault in faults} & own.places.keys()
    spec = _filled(own.spec, own.whole, ("spec",), refused)
    manifest = {**_manifest(obj, RULE_PACK, spec, reference=own.reference), **own.beside}
    return Exported(manifest, _left_out(own, {own.places[each] for each in refused}))


def _left_out(own: OwnObject, kept: Collection[str] = ()) -> list[str]:
    """Return a sentence for each null that is not exported; those at the paths `kept` are."""
    return [
        f"{own.file}: {path}: kubectl apply dropped the null here, and it does not count, since "
        f"{manager or 'somebody'} has changed this part later: the export has no such key"
        for path, manager in own.dropped if path not in kept
    ]  # fmt: skip


def _filled(spec: Any, whole: Any, path: Path, refused: Collection[str]) -> Any:
    """Return a value of a spec with those nulls of the same value in `whole` that stand at the paths `refused`."""
    if not refused:
        return spec
    if isinstance(spec, dict) and isinstance(whole, dict):
        lost = [key for key in whole if key not in spec and shown_path((*path, key)) in refused]
        return {key: _filled(value, whole.get(key), (*path, key), refused) for key, value in spec.items()} | dict.fromkeys(lost)
    if isinstance(spec, list) and isinstance(whole, list):
        return [_filled(value, other, (*path, i), refused) for i, (value, other) in enumerate(zip(spec, whole, strict=True))]
    return spec


def _manifest(obj: Object, kind: Kind, spec: Mapping[str, Any], *, reference: bool = False) -> dict[str, Any]:
    """Return the manifest of an object.

    Without owners: they are named by uid, and no later object has that one, so the garbage collector would delete this. A pack
    with a text of its own that was a reference once has no longer the label of what the operator makes.
    """
    ref = ref_of(obj)
    labels = dict(labels_of(obj)) if reference else {k: v for k, v in labels_of(obj).items() if MANAGED.get(k) != v}
    annotations = {key: value for key, value in annotations_of(obj).items() if key != LAST_APPLIED}
    metadata = {"name": ref.name, "namespace": ref.namespace, "labels": labels, "annotations": annotations}
    return {
        "apiVersion": kind.api_version, "kind": kind.kind,
        "metadata": {key: value for key, value in metadata.items() if value}, "spec": spec,
    }  # fmt: skip
