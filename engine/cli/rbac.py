"""`rulepack rbac`: the least rights that rule packs need."""

from __future__ import annotations

from pathlib import Path

import click

from engine.cel import backend
from engine.cli.arguments import packs_argument, paths_option, read_packs
from engine.model.objects import Kind, Resource
from engine.model.plurals import guessed_resource
from engine.operator.settings import OPERATOR_NAMESPACE
from engine.packs.crds import read_definitions
from engine.packs.rbac import roles

EXAMPLES = """\b
Examples:
  rulepack rbac my-rules | kubectl apply -f -
  rulepack rbac rules/my-pack --off             also where the pack is Off until its flag is set
  rulepack rbac my-rules --crds crds/           the plurals that CustomResourceDefinitions say
"""


@click.command(epilog=EXAMPLES)
@packs_argument
@paths_option("--crds", "Where CustomResourceDefinitions are; plurals of other kinds are guessed as kubectl does.", "DIR")
@click.option("--off", is_flag=True, help="Include packs that are Off by default.")
@click.option("--name", default="rulepack", show_default=True, help="Name of the ClusterRole and the Role.")
@click.option("--namespace", default=OPERATOR_NAMESPACE, show_default=True, help="The operator's namespace.")
def rbac(paths: tuple[Path, ...], crds: tuple[Path, ...], off: bool, name: str, namespace: str) -> None:
    """Write the least ClusterRole for these rule packs, and the engine's own Role, as YAML.

    A comment behind each verb says which rules need it. Bind both to the engine's service account.
    """
    packs = read_packs(paths, backend())
    known = read_definitions(crds)

    def plurals(kind: Kind) -> Resource:
        return known[kind].resource if kind in known else guessed_resource(kind)

    click.echo(roles(packs, plurals, name, namespace, off=off))
