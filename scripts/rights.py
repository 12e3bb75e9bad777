"""The page docs/reference/rights.md; see scripts/reference.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from engine.cel import backend
from engine.cli.arguments import read_packs
from engine.model.flags import Mode
from engine.model.plurals import guessed_resource
from engine.packs.rbac import Grants, elsewhere_grants, granted, in_order, own_grants, reasons, review_grants

NOTE = "<!-- Written by `make reference` from the code; change it there. -->\n"


def rights(rules: Path) -> str:
    """Each right of the operator with these rule packs, and what needs it, as Markdown."""
    packs = read_packs([rules], backend())
    off = [pack for pack in packs if pack.default_mode is Mode.OFF]
    on = granted([pack for pack in packs if pack not in off], guessed_resource)
    lines = [
        NOTE, "# Rights\n",
        "What `config/rbac` and the OLM bundle grant, and why. A test of the installation by OLM runs every path of the packs "
        "and compares: what the operator has asked the API server for by then is all of this, and nothing else.\n",
        "## Of the shipped rule packs\n", "In the namespaces that are watched and acted in.\n", *_rights(on),
        "\nOn kinds that only the object at hand names, and that are for you to grant:\n", "| verb | needed by |", "|---|---|",
        *(f"| {verb} | {reasons(needing)} |" for verb, needing in sorted(on.any_kind.items())),
        "\n## Of the engine itself\n", "In the operator's own namespace.\n", *_rights(own_grants()),
        "\nIn all namespaces that are watched:\n", *_rights(elsewhere_grants()),
        "\nIn no namespace.\n", *_rights(review_grants()),
        "\n## Of packs that are Off\n", "Not granted: `rulepack rbac --off` writes a role with them.\n",
        *_rights(granted(off, guessed_resource)),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _rights(grants: Grants) -> Iterator[str]:
    yield "| API group | resource | verb | needed by |"
    yield "|---|---|---|---|"
    for (group, resource), verbs in sorted(grants.by_resource.items()):
        for verb in in_order(verbs):
            yield f"| {group or 'core'} | {resource} | {verb} | {reasons(verbs[verb])} |"
