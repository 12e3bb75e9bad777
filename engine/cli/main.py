"""The command group `rulepack`: one line for each subcommand, and what becomes of errors."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import click

from engine import __version__
from engine.errors import RulepackError, UsageError
from engine.model.text import clean

#: Each subcommand: the function of the same name in the module engine.cli.NAME, which is imported only when it is called.
COMMANDS = {
    "run": "Run the engine against a cluster.",
    "demo": "Run a script in which the shipped rule packs act, and check their effects.",
    "lint": "Check rule packs: every fault at once, each with its location.",
    "test": "Run the tests of rule packs.",
    "explain": "Say why rules fire for an object, or what keeps them from firing.",
    "get": "Write the packs and libraries of a cluster, and what each rule has done.",
    "export": "Write the packs and libraries that are your own, to apply them again.",
    "record": "Write the changes of a cluster to a file.",
    "replay": "Play recorded changes through rule packs, or compare two versions of them.",
    "new": "Make a commented rule pack to begin with, with tests that pass.",
    "rbac": "Write the least rights that rule packs need.",
    "schema": "Write the JSON Schema of rule packs, for editors.",
}

FAILURE, USAGE, INTERRUPTED = 1, 2, 130


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take the options of a command before its name too: kubectl has them at any place, and gives them to a plugin so."""
        return super().parse_args(ctx, _behind_name(ctx, args) if args[:1] and args[0].startswith("-") else args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return _command(cmd_name) if cmd_name in COMMANDS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _command(name: str) -> click.Command:
    found = getattr(importlib.import_module(f"engine.cli.{name}"), name)
    assert isinstance(found, click.Command)
    return found


def _behind_name(ctx: click.Context, args: list[str]) -> list[str]:
    """Return arguments with the options that stand before the name of a command behind it, where they are options of that."""
    for name in dict.fromkeys(each for each in args if each in COMMANDS):
        options = click.Command(name, params=[each for each in _command(name).params if isinstance(each, click.Option)])
        parser = options.make_parser(click.Context(options, parent=ctx))
        parser.allow_interspersed_args = False
        try:
            _, (found, *rest), _ = parser.parse_args([*args])
        except (click.UsageError, ValueError):  # an option of another command, or nothing but options
            continue
        if found == name:
            return [name, *args[: len(args) - len(rest) - 1], *rest]
    return args


def help_text(name: str) -> str:
    """Return what `rulepack NAME --help` says, in lines of 100 characters."""
    context = click.Context(_command(name), info_name=f"rulepack {name}", max_content_width=100, terminal_width=100)
    return _command(name).get_help(context)


EPILOG = """\b
Completion of commands and options, for bash (zsh and fish likewise):
  eval "$(_RULEPACK_COMPLETE=bash_source rulepack)"
"""


@click.group(cls=_Commands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="rulepack")
def rulepack() -> None:
    """A rules engine for Kubernetes: when this is true of an object, do that."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit: 0 done, 1 failure, 2 usage. Errors go to stderr as text, never as a traceback."""
    sys.exit(run_command(arguments))


_OF_CLUSTERS = ("-n", "--namespace", "-A", "--all-namespaces", "--context", "--kubeconfig")
"""Options that kubectl has for every command."""


def _of_clusters(option: str, arguments: Sequence[str]) -> str:
    """Return what to do about an option that says which part of a cluster is meant, for a command that reads files; else ''."""
    name = next((each for each in arguments if each in COMMANDS), "")
    has = {each for param in _command(name).params for each in param.opts} if name else set[str]()
    if option not in _OF_CLUSTERS or not name or option in has:
        return ""
    return f" of {name}, which reads files and takes nothing from a namespace of a cluster: leave it out"


def _called() -> str:
    """Return how users call it: kubectl runs `kubectl-rulepack` as its plugin (kubernetes.io: extend-kubectl)."""
    return "kubectl rulepack" if Path(sys.argv[0]).stem == "kubectl-rulepack" else "rulepack"


def run_command(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    try:
        colour = False if os.environ.get("NO_COLOR") else None  # https://no-color.org
        status = rulepack.main(args=arguments, prog_name=_called(), standalone_mode=False, color=colour)
        return status if isinstance(status, int) else 0
    except click.ClickException as error:
        if isinstance(error, click.NoSuchOption):
            message = f"{error.message.rstrip('.')}{_of_clusters(error.option_name, arguments or sys.argv[1:])}."
            error = click.NoSuchOption(error.option_name, message, error.possibilities, error.ctx)
        error.show(sys.stderr)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except UsageError as error:
        click.echo(f"Error: {clean(str(error))}", err=True)
        return USAGE
    except RulepackError as error:
        click.echo(f"Error: {clean(str(error))}", err=True)
        return FAILURE
    except Exception as error:
        logging.getLogger(__name__).debug("unexpected error", exc_info=True)
        click.echo(
            f"Error: unexpected {type(error).__name__}: {error}\nThis is a bug in rulepack; please report it with this text.",
            err=True,
        )
        return FAILURE
