"""`rulepack demo`: a script that shows what the shipped packs do, and checks that they do it."""

from __future__ import annotations

import asyncio
import io
import secrets
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from engine.cel import backend
from engine.cli.arguments import Cluster, check_flags, context_option, kubeconfig_option
from engine.cli.demo.runner import FastClock, Runner
from engine.cli.demo.screen import Check, Failures, Screen
from engine.cli.demo.script import OPERATOR, Script, load
from engine.cli.logs import set_up
from engine.cli.run import operator_of
from engine.console.app import PATH as CONSOLE
from engine.errors import UsageError
from engine.kube.api import Api
from engine.kube.clock import Clock, SystemClock
from engine.kube.embedded import EmbeddedCluster
from engine.model.flags import Mode
from engine.operator.settings import Settings, parse_flags
from engine.operator.wiring import Operator
from engine.packs.sources import shipped_demo, shipped_rules, shipped_settable

DEFAULT_SPEED = 6.0

VIEWER = "viewer"
"""The user who may see all of the cluster in memory, in the console."""
CONSOLE_TEXT = """
The engine goes on. See what it did, and does:
  1. Open {url}
     The certificate is made for this demo, so your browser warns once.
  2. Log in with this token: {token}
Press Ctrl+C to end."""

EXAMPLES = """\b
Examples:
  rulepack demo                                          on a cluster in memory; needs nothing
  rulepack demo --feature-flags sync-waves=Off           what is missing without that pack
  rulepack demo --console                                keeps going, with pages for a browser
  rulepack demo --kubeconfig ~/.kube/config --install-crds
                                                         on a cluster, in new namespaces that go away again
"""


@click.command(epilog=EXAMPLES)
@kubeconfig_option("Run on this cluster, in namespaces that are created for it and deleted afterwards. Default: in memory.")
@context_option
@click.option("--install-crds", is_flag=True, help="Where the cluster lacks a kind of the demo, put a stand-in there meanwhile.")
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
    help=f"Seconds of the script in one second, in memory only: a cluster has its own clock. Default: {DEFAULT_SPEED:g}.",
)
@click.option(
    "--console", is_flag=True, help="Serve the console on this machine, and go on until you press Ctrl+C; in memory only."
)
def demo(
    kubeconfig: Path | None, context: str, install_crds: bool, feature_flags: tuple[str, ...], speed: float | None, console: bool
) -> int:
    """Run a script in which the shipped rule packs act, and check their effects.

    A second engine, with rule packs of the script's own, simulates the controllers that the script needs beside them.
    Exits with 1 if an effect that should be there is not, or one is there that should not be.
    """
    if kubeconfig is None and (context or install_crds):
        raise UsageError("--context and --install-crds are for a cluster; expected --kubeconfig with them")
    if kubeconfig is not None and speed is not None:
        raise UsageError("--speed is for the cluster in memory: one reached by --kubeconfig has its own clock")
    if kubeconfig is not None and console:
        raise UsageError("--console is for the cluster in memory: on another one `rulepack run` serves it at /console")
    set_up("error", "text")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that lacks a character must not end the demo
    flags = parse_flags(feature_flags)
    check_flags(flags, shipped_settable().flags)
    try:
        if kubeconfig is None:
            return asyncio.run(_in_memory(flags, speed or DEFAULT_SPEED, console=console))
        return asyncio.run(_on_cluster(kubeconfig, context, flags, install=install_crds))
    except asyncio.CancelledError:  # by SIGTERM
        raise click.Abort from None


async def _in_memory(flags: Mapping[str, Mode], speed: float, *, console: bool) -> int:
    clock = FastClock(speed)
    script, cluster = load(shipped_demo(), backend()), EmbeddedCluster(clock)
    if not console:
        result = await _run(script, cluster, clock, script.namespaces, flags, install=True)
        click.echo("\nTo see the same in a browser: rulepack demo --console")
        return result
    token = secrets.token_hex(16)
    cluster.users[token] = {"username": VIEWER}
    cluster.access = lambda spec: spec["user"] == VIEWER
    return await _run(script, cluster, clock, script.namespaces, flags, install=True, token=token)


async def _on_cluster(kubeconfig: Path, context: str, flags: Mapping[str, Mode], *, install: bool) -> int:
    script = load(shipped_demo(), backend())
    suffix = secrets.token_hex(3)  # so that nothing of the cluster's own is touched, and a second demo needs not wait
    names = {name: f"{namespace}-{suffix}" for name, namespace in script.namespaces.items()}
    async with Cluster(kubeconfig, context).connected() as api:
        return await _run(script, api, SystemClock(), names, flags, install=install)


async def _run(
    script: Script, api: Api, clock: Clock, namespaces: Mapping[str, str], flags: Mapping[str, Mode],
    *, install: bool, token: str = "",
) -> int:  # fmt: skip
    """Run the script and return whether its effects are as expected, as an exit code; with a token, once the reader is done."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)  # so that the cluster is left as it was
    cel = backend()
    screen = Screen(clock, sys.stdout)
    screen.title(script.title)
    common: dict[str, Any] = {
        "operator_namespace": namespaces[OPERATOR], "namespaces": tuple(namespaces.values()),
        "address": "127.0.0.1", "port": 0, "probe_port": 0,
    }  # fmt: skip
    settings = Settings(rules=(shipped_rules(),), flags=flags, lease_name="rulepack-demo", console=bool(token), **common)
    simulators = Settings(rules=(script.simulators,), lease_name="rulepack-demo-simulators", **common)
    runner, wrong = Runner(script, api, clock, screen, namespaces), list[Check]()
    engine = operator_of(api, settings, clock, cel, screen)

    async def ended(checks: Sequence[Check]) -> None:
        screen.table(checks)
        wrong.extend(check for check in checks if not check.holds)
        if token:
            await _until_interrupted(f"https://127.0.0.1:{engine.server.port}{CONSOLE}", token)

    try:
        await runner.prepare(install=install)
        simulating = Operator(api, simulators, clock, cel, Failures(screen))
        await runner.run(simulating, engine, ended)
    finally:
        await runner.clean_up()
    return 1 if wrong else 0


async def _until_interrupted(url: str, token: str) -> None:
    """Say where the console is, and return when somebody has seen enough."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    click.echo(CONSOLE_TEXT.format(url=url, token=token))
    loop.add_signal_handler(signal.SIGINT, stop.set)
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    click.echo("The demo ends.")
