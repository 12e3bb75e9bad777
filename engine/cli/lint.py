"""`rulepack lint`: every fault of rule packs at once, each with its location."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import click

from engine.cel import backend
from engine.cel.types import DYN, Type
from engine.cli.arguments import Cluster, format_option, kubeconfig_option, no_packs, packs_argument, paths_option
from engine.cli.findings import FORMATS, severity
from engine.kube.openapi import published, types_of
from engine.model.objects import Kind
from engine.packs.crds import read_definitions
from engine.packs.libraries import Libraries, read_libraries
from engine.packs.lint import CODES, Severity, kinds_of
from engine.packs.lint import lint as lint_texts
from engine.packs.lint.scope import types_of_kinds
from engine.packs.manifests import references_in
from engine.packs.parse import ParsedPack, parse_text
from engine.packs.sources import Text, load_folder, text_of

STDIN = Path("-")
_HIDDEN = "expressions that errors of [schema] and [yaml] hide are not checked yet"

EXAMPLES = """\b
Examples:
  rulepack lint my-rules                        files, folders, ConfigMap manifests
  kustomize build . | rulepack lint -           what would be applied; other objects are passed over
  rulepack lint my-rules --crds crds/           also fields that the kinds do not have
  rulepack lint my-rules --format github        for a pull request
  rulepack lint --explain dead-rule
"""


def _explain(context: click.Context, parameter: click.Parameter, name: str | None) -> None:
    if name is not None:
        code = CODES[name]
        click.echo(f"{code.name} ({code.severity})\n\n{code.documentation.strip()}")
        context.exit()


@click.command(epilog=EXAMPLES)
@packs_argument
@paths_option("--crds", "Where CustomResourceDefinitions are, to check types against; may be repeated.", "DIR")
@kubeconfig_option("Check types against the schemas of this cluster.")
@format_option(*FORMATS)
@click.option("--strict", is_flag=True, help="Exit with 1 also where there are only warnings.")
@click.option("--explain", is_eager=True, expose_value=False, callback=_explain, metavar="CODE", type=click.Choice(list(CODES)),
              help="Say more about a code, and exit.")  # fmt: skip
def lint(paths: tuple[Path, ...], crds: tuple[Path, ...], kubeconfig: Path | None, style: str, strict: bool) -> int:
    """Check the rule packs in these files and folders, and on stdin where PATH is '-'.

    Reports every fault at once, with file, line and column. Exits with 0 where there is no error, 1 where there is, 2 where
    the command itself is wrong. Packs that are given together are also compared with one another.

    RulePacks that refer to a shipped pack are checked too, without their params. What `kubectl get -o yaml` writes is read
    as it is.
    """
    texts = _texts(paths)
    libraries = read_libraries(texts, backend())
    served = asyncio.run(_served(kubeconfig, texts, libraries)) if kubeconfig is not None else {}
    definitions = read_definitions(crds)
    number, faults = lint_texts(texts, backend(), definitions, served, libraries)
    references = references_in(texts)
    if not number and not libraries.given and not references and not faults:
        raise no_packs(paths)
    sources = {text.file: re.split("\r\n|[\n\r\x85\u2028\u2029]", text.text) for text in texts}
    report = FORMATS[style](faults, sources)
    if report:
        click.echo(report)
    errors = sum(1 for fault in faults if severity(fault) is Severity.ERROR)
    hidden = any(fault.code in ("yaml", "schema") for fault in faults)
    if style == "text":
        summary = _summary((number, len(libraries.given), references), errors, len(faults) - errors)
        click.echo(f"{summary}; {_HIDDEN}" if hidden else summary, err=bool(faults))
        for note in _unchecked(_packs(texts, libraries), types_of_kinds(definitions, served)):
            click.echo(note, err=True)
    elif hidden:
        click.echo(f"note: {_HIDDEN}", err=True)
    return 1 if errors or (strict and faults) else 0


def _texts(paths: Sequence[Path]) -> list[Text]:
    files = [path for path in paths if path != STDIN]
    texts = load_folder(files) if files else []
    if STDIN in paths:
        texts.append(text_of(sys.stdin.buffer, "<stdin>"))
    return texts


async def _served(kubeconfig: Path, texts: Sequence[Text], libraries: Libraries) -> dict[Kind, Type]:
    """Return the types of the packs' kinds on a cluster. Raise ApiError, and UsageError where the kubeconfig is of no use."""
    packs = _packs(texts, libraries)
    async with Cluster(kubeconfig).connected() as api:
        types, errors = await types_of(api, await published(api), kinds_of(packs))
    for error in errors:
        raise error
    return types


def _packs(texts: Sequence[Text], libraries: Libraries) -> list[ParsedPack]:
    read = (parse_text(text.text, text.file, backend(), manifests=True, libraries=libraries) for text in texts)
    return [pack for parsed, _ in read for pack in parsed]


def _unchecked(packs: Sequence[ParsedPack], types: Callable[[Kind], Type]) -> Iterator[str]:
    """Yield, once for each pack, that fields of kinds without a definition are not checked."""
    for parsed in packs:
        unknown = sorted(kind for kind in kinds_of([parsed]) if "." in kind.api_version and types(kind) == DYN)
        if unknown:
            names = ", ".join(f"{kind.kind} ({kind.api_version})" for kind in unknown)
            yield f"note: pack {parsed.pack.name}: fields of {names} are not checked; give definitions by --crds or --kubeconfig"


def _summary(read: tuple[int, int, int], errors: int, warnings: int) -> str:
    """Return what was found in the packs, libraries and references that were read."""

    def count(number: int, what: str, several: str) -> str:
        return f"{number} {what if number == 1 else several}"

    found = ", ".join(count(number, what, f"{what}s") for number, what in ((errors, "error"), (warnings, "warning")) if number)
    if not any(read):
        return f"no pack could be read: {found}"
    packs, *others = zip(read, (("pack", "packs"), ("library", "libraries"), ("reference", "references")), strict=True)
    kinds = [packs, *(each for each in others if each[0])]
    return f"{', '.join(count(number, *names) for number, names in kinds)}: {found or 'no faults'}"
