"""`rulepack demo`: a story that shows what the shipped packs do, and checks that they do it."""

from __future__ import annotations

import asyncio
import io
import secrets
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from engine.cel import backend
from engine.cli.logs import set_up
from engine.cli.story.clock import FastClock
from engine.cli.story.player import Player
from engine.cli.story.screen import Screen
from engine.cli.story.script import OPERATOR, Story, load
from engine.errors import UsageError
from engine.kube.api import Api
from engine.kube.clock import Clock, SystemClock
from engine.kube.embedded import EmbeddedCluster
from engine.model.flags import Mode
from engine.operator.settings import Settings, parse_flags
from engine.operator.wiring import Operator
from engine.packs.shipped import shipped_rules, shipped_story

DEFAULT_SPEED = 6.0

EXAMPLES = """\b
Examples:
  rulepack demo                                          on a cluster in memory; needs nothing
  rulepack demo --feature-flags sync-waves=Off           what is missing without that pack
  rulepack demo --kubeconfig ~/.kube/config --install-crds
                                                         on a cluster, in new namespaces that go away again
"""


@click.command(epilog=EXAMPLES)
@click.option(
    "--kubeconfig",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Play on this cluster, in namespaces that are created for it and deleted afterwards. Default: in memory.",
)
@click.option("--context", default="", metavar="NAME", help="Context of the kubeconfig. Default: its current one.")
@click.option("--install-crds", is_flag=True, help="Where the cluster lacks a kind of the story, put a stand-in there meanwhile.")
@click.option(
    "--feature-flags",
    multiple=True,
    metavar="PACK=MODE,…",
    help="Modes (Enforce, Audit, Off) of the packs; may be repeated. Default: Enforce.",
)
@click.option(
    "--speed",
    type=click.FloatRange(min=0.1, max=10.0),
    metavar="FACTOR",
    help=f"Seconds of the story in one second, in memory only: a cluster has its own clock. Default: {DEFAULT_SPEED:g}.",
)
def demo(kubeconfig: Path | None, context: str, install_crds: bool, feature_flags: tuple[str, ...], speed: float | None) -> int:
    """Play a story in which the shipped rule packs act, and check their effects.

    A second engine, with rule packs of the story's own, plays the controllers that the story needs beside them.
    Exits with 1 if an effect that should be there is not, or one is there that should not be.
    """
    if kubeconfig is None and (context or install_crds):
        raise UsageError("--context and --install-crds are for a cluster; expected --kubeconfig with them")
    if kubeconfig is not None and speed is not None:
        raise UsageError("--speed is for the cluster in memory: one reached by --kubeconfig has its own clock")
    set_up("error", "text")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that lacks a character must not end the story
    flags = parse_flags(feature_flags)
    try:
        if kubeconfig is None:
            return asyncio.run(_in_memory(flags, speed or DEFAULT_SPEED))
        return asyncio.run(_on_cluster(kubeconfig, context, flags, install=install_crds))
    except asyncio.CancelledError:  # by SIGTERM
        raise click.Abort from None


async def _in_memory(flags: Mapping[str, Mode], speed: float) -> int:
    clock = FastClock(speed)
    story = load(shipped_story(), backend())
    return await _play(story, EmbeddedCluster(clock), clock, story.namespaces, flags, install=True)


async def _on_cluster(kubeconfig: Path, context: str, flags: Mapping[str, Mode], *, install: bool) -> int:
    from engine.kube.kubernetes import KubernetesApi

    story = load(shipped_story(), backend())
    suffix = secrets.token_hex(3)  # so that nothing of the cluster's own is touched, and a second demo needs not wait
    names = {name: f"{namespace}-{suffix}" for name, namespace in story.namespaces.items()}
    api = await KubernetesApi.connect(str(kubeconfig), context or None)
    try:
        return await _play(story, api, SystemClock(), names, flags, install=install)
    finally:
        await api.close()


async def _play(
    story: Story, api: Api, clock: Clock, namespaces: Mapping[str, str], flags: Mapping[str, Mode], *, install: bool
) -> int:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)  # so that the cluster is left as it was
    cel = backend()
    screen = Screen(clock, sys.stdout)
    screen.title(story.title)
    common: dict[str, Any] = {
        "operator_namespace": namespaces[OPERATOR], "namespaces": tuple(namespaces.values()),
        "address": "127.0.0.1", "port": 0,
    }  # fmt: skip
    engine = Settings(rules=(shipped_rules(),), flags=flags, lease_name="rulepack-demo", **common)
    stagehands = Settings(rules=(story.stagehands,), lease_name="rulepack-demo-stagehands", **common)
    player = Player(story, api, clock, screen, namespaces)
    try:
        await player.set_stage(install=install)
        verdicts = await player.play(Operator(api, stagehands, clock, cel), Operator(api, engine, clock, cel, screen))
    finally:
        await player.strike()
    screen.table(verdicts)
    return 0 if all(verdict.holds for verdict in verdicts) else 1
