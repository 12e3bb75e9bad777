"""What several commands take: options, the rule packs that they name, and the cluster that they reach."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from engine.cel import Backend
from engine.errors import Fault, InvalidText, UsageError
from engine.model.text import suggestion
from engine.operator.settings import check_namespace
from engine.packs.libraries import read_libraries
from engine.packs.pack import RulePack
from engine.packs.parse import parse_text
from engine.packs.sources import load_folder

if TYPE_CHECKING:
    from engine.kube.kubernetes import KubernetesApi

PATH = click.Path(path_type=Path)

packs_argument = click.argument("paths", nargs=-1, required=True, type=PATH, metavar="PATH...")
flags_option = click.option(
    "--feature-flags", multiple=True, metavar="PACK=MODE,…", help="Modes (Enforce, Audit, Off); may be repeated."
)
context_option = click.option(
    "--context", default="", metavar="NAME", help="Context of the kubeconfig. Default: its current one."
)


class _Namespace(click.ParamType[str]):
    """The name of a namespace, '' where none is meant. Raise UsageError for what cannot be one."""

    name = "text"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name: kubectl takes `-n=NAME` too, of which click leaves the '='."""
        name = value.removeprefix("=")
        if name:
            check_namespace(name)
        return name


NAMESPACE_NAME = _Namespace()
"""The type of options that name a namespace."""


def paths_option(name: str, help: str, metavar: str = "PATH") -> Callable[[Any], Any]:
    """Return an option that names files and folders, and may be repeated."""
    return click.option(name, multiple=True, type=PATH, metavar=metavar, help=help)


def kubeconfig_option(help: str) -> Callable[[Any], Any]:
    """Return the option that names a kubeconfig."""
    return click.option("--kubeconfig", type=PATH, metavar="PATH", help=help)


def format_option(*formats: str) -> Callable[[Any], Any]:
    """Return the option that picks an output format; the first one is the default."""
    return click.option("--format", "style", default=formats[0], show_default=True, type=click.Choice(formats))


class Cluster(NamedTuple):
    """A cluster that a command reaches with a kubeconfig (None: as kubectl finds one)."""

    kubeconfig: Path | None
    context: str = ""

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[KubernetesApi]:
        """Give a connection, and close it. Raise UsageError where the kubeconfig is of no use."""
        from engine.kube.kubernetes import KubernetesApi

        api = await KubernetesApi.connect(str(self.kubeconfig) if self.kubeconfig else None, self.context or None)
        try:
            yield api
        finally:
            await api.close()


def set_by_environment(command: click.Command) -> click.Command:
    """Let each option of a command be set by a variable as well, such as RULEPACK_RUN_LOG_LEVEL for `--log-level`.

    OLM's Subscription can set variables, never arguments. What stands on the command line goes before; '' counts as not set.
    """
    for option in command.params:
        if isinstance(option, click.Option):
            option.envvar, option.show_envvar = variable(option), True
    return command


def variable(option: click.Option) -> str:
    """Return the variable that sets an option. Not RULEPACK_ alone: kubelet sets RULEPACK_PORT for a Service `rulepack`."""
    return "RULEPACK_RUN_" + max(option.opts, key=len).removeprefix("--").replace("-", "_").upper()


def cluster_options(command: Callable[..., Any]) -> Any:
    """Give a command `--kubeconfig` and `--context`, as its parameter `cluster`."""

    @wraps(command)
    def with_cluster(*args: Any, kubeconfig: Path | None, context: str, **others: Any) -> Any:
        return command(*args, cluster=Cluster(kubeconfig, context), **others)

    return kubeconfig_option("Default: KUBECONFIG, else ~/.kube/config.")(context_option(with_cluster))


def read_packs(paths: Sequence[Path], cel: Backend) -> list[RulePack]:
    """Return the packs in these files and folders.

    Raise UsageError where there are none, InvalidText with every fault of all.
    """
    packs: list[RulePack] = []
    faults: list[Fault] = []
    texts = load_folder(paths)
    libraries = read_libraries(texts, cel)
    faults += libraries.faults
    for text in texts:
        read, wrong = parse_text(text.text, text.file, cel, manifests=True, libraries=libraries)
        packs += [parsed.pack for parsed in read]
        faults += [*text.faults, *wrong]
    if faults:
        raise InvalidText(list(dict.fromkeys(faults)))
    if not packs:
        raise no_packs(paths)
    return packs


def check_flags(given: Iterable[str], known: Collection[str]) -> None:
    """Raise UsageError where a flag is given that none of the packs has, for a command that will see no others."""
    for name in given:
        if name not in known:
            raise UsageError(f"--feature-flags: no pack has the feature flag {name!r}; expected {suggestion(name, known)}")


def no_packs(paths: Sequence[Path]) -> UsageError:
    """Return the error that these files and folders hold no rule packs."""
    return UsageError(f"no rule packs in {', '.join(map(str, paths))}; expected a document of kind RulePack")
