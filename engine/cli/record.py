"""`rulepack record`: the changes of a cluster that rule packs watch, written to a file."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import click

from engine.cel import backend
from engine.cli.arguments import NAMESPACE_NAME, Cluster, cluster_options, paths_option, read_packs
from engine.errors import UsageError
from engine.kube.api import Api
from engine.kube.clock import Clock, SystemClock, cancel, within
from engine.model.objects import NAMESPACE, Kind, Object
from engine.operator.informer import Informer
from engine.operator.selection import InformerKey
from engine.packs.fields import seconds
from engine.packs.pack import RulePack
from engine.packs.sources import shipped_rules
from engine.reconcile.prune import Whole
from engine.testing.recording import Change, redacted, redaction

CLOSING = 0.25
"""Seconds that connections with TLS take to end after they were closed (aiohttp: advanced client usage, graceful shutdown)."""

EXAMPLES = """\b
Examples:
  rulepack record changes.jsonl                       until Ctrl-C
  rulepack record changes.jsonl -n shop --for 10m
  rulepack record changes.jsonl --redact spec.template.spec.containers.env
"""


@click.command(epilog=EXAMPLES)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@paths_option("--rules", "Record the kinds that these packs watch and act on; may be repeated. Default: the shipped ones.")
@click.option(
    "-n", "--namespace", "namespaces", multiple=True, type=NAMESPACE_NAME, metavar="NAME", help="May be repeated. Default: all."
)
@click.option("--redact", multiple=True, metavar="PATH", help="A field whose values are not to be recorded; may be repeated.")
@click.option("--for", "duration", metavar="DURATION", help="Stop after this time, such as 10m. Default: at Ctrl-C.")
@cluster_options
def record(
    file: Path, rules: tuple[Path, ...], namespaces: tuple[str, ...], redact: tuple[str, ...], duration: str | None,
    cluster: Cluster,
) -> None:  # fmt: skip
    """Write the changes of the objects that rule packs watch and act on to FILE, one line of JSON each, for `rulepack replay`.

    Only reads (list and watch). The data of Secrets is never recorded.
    """
    packs, paths = read_packs(rules or (shipped_rules(),), backend()), redaction(redact)
    limit = _seconds(duration)
    try:
        with file.open("x", encoding="utf-8") as out:
            click.echo(_doing(packs, namespaces, redact, duration, file), err=True)
            count = asyncio.run(_record(packs, namespaces or ("",), paths, limit, cluster, out))
    except FileExistsError:
        raise UsageError(f"{file} is there already; expected a new file") from None
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror}") from error
    click.echo(f"{count} changes in {file}", err=True)


def _seconds(duration: str | None) -> float | None:
    try:
        return None if duration is None else seconds(duration)
    except ValueError:
        raise UsageError(f"--for {duration!r}: expected a duration such as 90s, 10m or 1h") from None


async def _record(
    packs: Sequence[RulePack], namespaces: Sequence[str], paths: Sequence[tuple[str, ...]], limit: float | None,
    cluster: Cluster, out: TextIO,
) -> int:  # fmt: skip
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        async with cluster.connected() as api:
            return await Recorder(api, SystemClock(), packs, namespaces, paths, out).run(stop, limit)
    finally:
        await SystemClock().sleep(CLOSING)


def _doing(packs: Sequence[RulePack], namespaces: Sequence[str], redact: Sequence[str], duration: str | None, file: Path) -> str:
    """Return what is recorded, where, and until when."""
    kinds = ", ".join(sorted({kind.kind for kind in _kinds(packs)}))
    where = f"namespace {', '.join(namespaces)}" if namespaces else "all namespaces"
    without = f", without the values of {', '.join(redact)}" if redact else ""
    return f"recording {kinds} of {where} to {file}{without}, {f'for {duration}' if duration else 'until Ctrl-C'}"


def _kinds(packs: Sequence[RulePack]) -> list[Kind]:
    """Return the kinds that packs watch, select by and act on, each once."""
    kinds = [kind for pack in packs for kind in (*pack.watches, *(target.kind for target in pack.targets))]
    kinds += [NAMESPACE] if any(pack.selects_namespaces for pack in packs) else []
    return list(dict.fromkeys(kind for kind in kinds if kind.kind != "*"))


class Recorder:
    """Writes what informers report."""

    def __init__(
        self, api: Api, clock: Clock, packs: Sequence[RulePack], namespaces: Sequence[str], paths: Sequence[tuple[str, ...]],
        out: TextIO,
    ) -> None:  # fmt: skip
        self._clock, self._paths, self._out, self._count = clock, paths, out, 0
        keys = [InformerKey(kind, namespace) for kind in _kinds(packs) for namespace in namespaces]
        self._informers = [Informer(api, key, clock, Whole(), self._changed) for key in keys]

    async def run(self, stop: asyncio.Event, limit: float | None) -> int:
        """Record until `stop` is set, or for so many seconds; return the number of changes."""
        running = [asyncio.create_task(informer.run()) for informer in self._informers]
        running += [asyncio.create_task(self._say(informer)) for informer in self._informers]
        try:
            if limit is None:
                await stop.wait()
            else:
                await within(self._clock, limit, stop.wait())
        finally:
            await cancel(*running)
        return self._count

    async def _say(self, informer: Informer) -> None:
        """Say of a kind how many objects there are at first, or that there are none to record yet."""
        await informer.answered.wait()
        there = (
            f"{len(informer.store.objects)} there at first" if informer.synced.is_set() else "the cluster does not serve it yet"
        )
        click.echo(f"  {informer.key}: {there}", err=True)

    def _changed(self, namespace: str, name: str, old: Object | None, new: Object | None, initial: bool) -> None:
        obj = new if new is not None else old
        if obj is not None:
            change = Change(self._clock.time(), redacted(obj, self._paths), new is None, initial and new is not None)
            self._out.write(f"{change.line()}\n")
            self._out.flush()
            self._count += 1
