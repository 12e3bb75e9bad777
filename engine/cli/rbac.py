"""`rulepack rbac`: the least rights that rule packs need."""

from __future__ import annotations

import os
from pathlib import Path

import click

from engine.cel import backend
from engine.cli.arguments import NAMESPACE_NAME, packs_argument, paths_option, read_packs
from engine.model.objects import Kind, Resource
from engine.model.plurals import guessed_resource
from engine.operator.settings import own_namespace
from engine.packs.crds import read_definitions
from engine.packs.rbac import Account, pack_roles

EXAMPLES = """\b
Examples:
  rulepack rbac my-rules | kubectl apply -f -
  rulepack rbac my-rules --namespace team-a     Roles, for an operator that has rights in some namespaces only
  rulepack rbac rules/my-pack --off             also where the pack is Off until its flag is set
  rulepack rbac my-rules --crds crds/           the plurals that CustomResourceDefinitions say
"""


@click.command(epilog=EXAMPLES)
@packs_argument
@paths_option("--crds", "Where CustomResourceDefinitions are; plurals of other kinds are guessed as kubectl does.", "DIR")
@click.option("--off", is_flag=True, help="Include packs that are Off by default.")
@click.option(
    "-n",
    "--namespace",
    "namespaces",
    multiple=True,
    type=NAMESPACE_NAME,
    metavar="NAME",
    help="Write a Role and a RoleBinding in this namespace instead; may be repeated.",
)
@click.option(
    "--operator-namespace",
    type=NAMESPACE_NAME,
    metavar="NAME",
    help="Where the operator and its account are. Default: rulepack-system.",
)
def rbac(
    paths: tuple[Path, ...], crds: tuple[Path, ...], off: bool, namespaces: tuple[str, ...], operator_namespace: str | None
) -> None:
    """Write the least rights of these rule packs as YAML: for each a ClusterRole, and what binds it to the operator's account.

    They are named after their pack and stand beside the operator's own, however that was installed. A comment behind each
    verb says which rules need it.
    """
    packs = read_packs(paths, backend())
    known = read_definitions(crds)

    def plurals(kind: Kind) -> Resource:
        return known[kind].resource if kind in known else guessed_resource(kind)

    account = Account(own_namespace(operator_namespace, os.environ))
    click.echo(pack_roles(packs, plurals, account, namespaces, off=off))
