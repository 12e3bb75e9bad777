"""`rulepack schema`: the JSON Schema of rule packs, of libraries and of their tests, for editors."""

from __future__ import annotations

import json
from collections.abc import Mapping

import click

from engine.model.spec import Spec
from engine.packs.library import RuleLibrarySpec
from engine.packs.published import published_schema
from engine.packs.schema import RulePackSpec
from engine.testing.functions import RuleLibraryTestSpec
from engine.testing.schema import RulePackTestSpec

MODELS: Mapping[str, type[Spec]] = {
    "RulePack": RulePackSpec,
    "RulePackTest": RulePackTestSpec,
    "RuleLibrary": RuleLibrarySpec,
    "RuleLibraryTest": RuleLibraryTestSpec,
}

EXAMPLES = """\b
Examples:
  rulepack schema > rulepack.schema.json
  rulepack schema RulePackTest > rulepacktest.schema.json

\b
Then put into the first line of a pack, for editors with yaml-language-server:
  # yaml-language-server: $schema=rulepack.schema.json
"""


@click.command(epilog=EXAMPLES)
@click.argument("kind", default="RulePack", type=click.Choice(list(MODELS)), metavar="[KIND]")
def schema(kind: str) -> None:
    """Write the JSON Schema of KIND: RulePack (the default), RulePackTest, RuleLibrary or RuleLibraryTest."""
    click.echo(json.dumps(published_schema(MODELS[kind]), indent=2, ensure_ascii=False))
