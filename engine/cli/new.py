"""`rulepack new`: a commented rule pack to begin with, and tests of it that pass."""

from __future__ import annotations

from pathlib import Path

import click

from engine.errors import RulepackError, UsageError
from engine.model.names import dns_label

SKELETON = Path(__file__).parent / "skeleton"
NAME = "my-pack"
"""What the skeleton calls the pack."""

EXAMPLES = """\b
Examples:
  rulepack new restart-workers
  rulepack new restart-workers --dir rules
"""


@click.command(epilog=EXAMPLES)
@click.argument("name")
@click.option("--dir", "parent", type=click.Path(path_type=Path), default=Path(), metavar="DIR",
              help="The folder in which the pack's own folder is made. Default: the current one.")  # fmt: skip
def new(name: str, parent: Path) -> None:
    """Make a folder NAME with a commented rule pack and tests of it, to be changed into what you need."""
    if not dns_label(name):
        raise UsageError(f"{name!r} cannot be the name of a pack; expected lower case letters, digits and '-', at most 63")
    folder = parent / name
    try:
        folder.mkdir(parents=True)
        for file in sorted(SKELETON.glob("*.yaml")):
            text = file.read_text(encoding="utf-8").replace(NAME, name).replace("PACK_DIR", str(folder))
            (folder / file.name).write_text(text, encoding="utf-8")
            click.echo(folder / file.name)
    except FileExistsError:
        raise UsageError(f"{folder} is there already; expected a new name, or another --dir") from None
    except OSError as error:
        raise RulepackError(f"{folder} cannot be made: {error.strerror}") from error
    click.echo(f"\nNext:\n  rulepack lint {folder}\n  rulepack test {folder}")
