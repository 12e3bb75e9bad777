"""`rulepack run`: the operator."""

from __future__ import annotations

import asyncio
import gc
import importlib
import logging
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from engine import __version__
from engine.cel import Backend, backend
from engine.cli.arguments import (
    NAMESPACE_NAME,
    PATH,
    Cluster,
    context_option,
    kubeconfig_option,
    paths_option,
    set_by_environment,
)
from engine.cli.logs import LEVELS, set_up
from engine.cli.process import have_standard_streams, raise_limit_of_files
from engine.console.app import PATH as CONSOLE
from engine.console.app import Console
from engine.console.extension import PATH as EXTENSION
from engine.console.extension import Extension
from engine.console.firings import Firings
from engine.kube.api import Api
from engine.kube.clock import Clock, SystemClock
from engine.model.observe import Observer
from engine.operator.extension import parse_applications
from engine.operator.requestheader import parse_request_header
from engine.operator.settings import LEASE_NAME, Settings, own_namespace, parse_flags, watched_namespaces
from engine.operator.shards import own_shard
from engine.operator.wiring import Operator
from engine.outbound.allowed import parse_allowed
from engine.packs.sources import shipped_rules

log = logging.getLogger(__name__)

PORT = click.IntRange(0, 65535)

EXAMPLES = """\b
Examples:
  rulepack run                                  in a pod, or with the current kubeconfig
  rulepack run --dry-run --rules ./my-rules     log what would be done, write nothing
  rulepack run -n team-a -n team-b              watch two namespaces only
  rulepack run --feature-flags a=Off,b=Audit    modes that go before those of the ConfigMap
"""


@set_by_environment
@click.command(epilog=EXAMPLES)
@click.option(
    "-n",
    "--namespace",
    "namespaces",
    multiple=True,
    type=NAMESPACE_NAME,
    metavar="NAME",
    help="Namespace to watch; may be repeated. Default: WATCH_NAMESPACE (comma separated), else all.",
)
@click.option(
    "--operator-namespace",
    type=NAMESPACE_NAME,
    metavar="NAME",
    help="Namespace of the Lease, the feature flags, the parameters and the ConfigMap packs. "
    "Default: POD_NAMESPACE, else the pod's own, else rulepack-system.",
)
@paths_option(
    "--rules",
    "File or folder of rule packs; may be repeated. Default: the shipped ones. A pack of the cluster goes before one of its name "
    "here; with --dry-run those of the cluster are left out.",
)
@click.option(
    "--feature-flags",
    multiple=True,
    metavar="PACK=MODE,…",
    help="Modes (Enforce, Audit, Off) that go before those of the ConfigMap rulepack-feature-flags; may be repeated.",
)
@click.option("--dry-run", is_flag=True, help="Treat every pack that is not Off as Audit, and write nothing at all.")
@kubeconfig_option("Default: KUBECONFIG, else ~/.kube/config, else the pod's service account.")
@context_option
@click.option("--workers", default=16, show_default=True, help="How many objects are handled at the same time.")
@click.option("--address", default="", help="Where both servers listen; default: every address.")
@click.option(
    "--port",
    default=8443,
    show_default=True,
    type=PORT,
    help="Where /metrics and /packs are, by TLS, for whoever may get these paths by RBAC; 0 picks a free one.",
)
@click.option(
    "--probe-port", default=8081, show_default=True, type=PORT, help="Where /healthz and /readyz are; 0 picks a free one."
)
@click.option(
    "--tls-folder",
    type=PATH,
    metavar="PATH",
    help="Folder with tls.crt and tls.key for --port, read again when they change; without them a self-signed certificate.",
)
@click.option("--insecure-metrics", is_flag=True, help="Serve /metrics and /packs by plain HTTP, to everybody.")
@click.option(
    "--console/--no-console",
    default=True,
    show_default=True,
    help="Serve the pages of the console at /console on --port, to whoever logs in with a token; not with --insecure-metrics.",
)
@click.option(
    "--requestheader-client-ca-file",
    type=PATH,
    metavar="PATH",
    help="Authorities of client certificates, as PEM, by which the console knows a proxy that names its users in headers; "
    "read again when it changes. Default: no header counts.",
)
@click.option(
    "--requestheader-allowed-names",
    multiple=True,
    metavar="NAME,…",
    help="Common names of the proxy's certificates; needed with --requestheader-client-ca-file; may be repeated.",
)
@click.option(
    "--requestheader-username-headers",
    multiple=True,
    metavar="HEADER,…",
    help="Headers with the user name, of which the first one that is sent counts; may be repeated. Default: X-Forwarded-User.",
)
@click.option(
    "--requestheader-group-headers",
    multiple=True,
    metavar="HEADER,…",
    help="Headers with groups, separated by commas; may be repeated. Default: X-Forwarded-Groups.",
)
@click.option(
    "--extension-header",
    default="",
    metavar="HEADER",
    help="Serve /extension on --port, with the console, for another user interface: the header in which its proxy names the "
    "application that a user sees, as NAMESPACE:NAME. It counts with the token of an account that may vouch on /extension.",
)
@click.option(
    "--extension-kind", default="", metavar="KIND.APIVERSION", help="Kind of these applications, such as Deployment.apps/v1."
)
@click.option(
    "--extension-objects",
    default="",
    metavar="CEL",
    help="List of the objects of an `application`, each with group, kind, namespace and name; may call shipped libraries.",
)
@click.option("--lease-name", default=LEASE_NAME, show_default=True, help="Lease by which one of several replicas is chosen.")
@click.option("--shards", type=click.IntRange(1), metavar="N", help="Share the cluster with others: how many there are.")
@click.option(
    "--shard",
    type=click.IntRange(0),
    metavar="I",
    help="Which of the shards this is, from 0 on. Default: the ordinal at the end of the host name, as in a StatefulSet.",
)
@click.option(
    "--http-allow",
    multiple=True,
    metavar="HOST:PORT",
    help="Where the action `http` may send requests, by HTTPS; may be repeated. With http:// first by plain HTTP; with =NETWORK "
    "last also where the host has a private address, as in http://alertmanager.monitoring.svc:9093=10.96.0.0/12. "
    "Default: nowhere, so that the action is off.",
)
@click.option("--watch-label-selector", default="", metavar="SELECTOR", help="Watch only objects whose labels fit.")
@click.option("--log-level", default="info", show_default=True, type=click.Choice(LEVELS, case_sensitive=False))
@click.option("--log-format", default="text", show_default=True, type=click.Choice(["text", "json"]))
def run(
    namespaces: tuple[str, ...], operator_namespace: str | None, rules: tuple[Path, ...], feature_flags: tuple[str, ...],
    shards: int | None, shard: int | None, http_allow: tuple[str, ...], **options: Any,
) -> None:  # fmt: skip
    """Run the engine against a cluster: watch what the rule packs name, and act as they say.

    Runs until SIGTERM, SIGINT or SIGHUP, then finishes what it is at. Of several replicas one acts; the others stand by.

    An option that is not given is taken from the environment variable of its name: --log-level from RULEPACK_RUN_LOG_LEVEL.
    """
    have_standard_streams()
    settings = Settings(
        operator_namespace=own_namespace(operator_namespace, os.environ),
        namespaces=watched_namespaces(namespaces, os.environ),
        rules=rules or (shipped_rules(),),
        flags=parse_flags(feature_flags),
        http_allow=tuple(map(parse_allowed, http_allow)),
        request_header=parse_request_header(
            *(
                options.pop(f"requestheader_{part}")
                for part in ("client_ca_file", "allowed_names", "username_headers", "group_headers")
            )
        ),
        applications=parse_applications(*(options.pop(f"extension_{part}") for part in ("header", "kind", "objects"))),
        shard=own_shard(shards, shard, socket.gethostname()),
        in_pod=bool(os.environ.get("KUBERNETES_SERVICE_HOST")),  # the kubelet sets it in each container
        **options,
    )
    set_up(settings.log_level, settings.log_format)
    raise_limit_of_files()
    collect_rarely()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    async with Cluster(settings.kubeconfig, settings.context).connected() as api:
        cel = backend()
        log.info("rulepack %s, operator namespace %s", __version__, settings.operator_namespace)
        stop = asyncio.Event()
        _stop_on_signals(stop)
        await operator_of(api, settings, SystemClock(), cel).run(stop)


def operator_of(api: Api, settings: Settings, clock: Clock, cel: Backend, *observers: Observer) -> Operator:
    """Return an operator, with the console where the settings say so: never by plain HTTP, since people send it their tokens."""
    if not settings.console or settings.insecure_metrics:
        return Operator(api, settings, clock, cel, *observers)
    firings = Firings(clock)
    operator = Operator(api, settings, clock, cel, firings, *observers)
    console = Console(api, operator, firings, clock, settings)
    operator.server.mount(CONSOLE, console.answer)
    if settings.applications:
        operator.server.mount(EXTENSION, Extension(api, operator, console, settings, settings.applications).answer)
    return operator


def collect_rarely() -> None:
    """Collect garbage in circles rarely: what is cached is plain data without any, and going through all of it takes long.

    What is new is gone through in small parts: a million objects at once would hold up the event loop for 0.4 s.
    """
    gc.freeze()
    gc.set_threshold(20_000, 5, 500)


def _stop_on_signals(stop: asyncio.Event) -> None:
    """Set `stop` at the first signal; a second one ends the process as it would have without this."""
    loop = asyncio.get_running_loop()

    def received(number: signal.Signals) -> None:
        log.info("%s: finishing what is under way", number.name)
        stop.set()
        loop.remove_signal_handler(number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # as nohup asks
            loop.add_signal_handler(number, received, number)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's loops where it is installed (extra `fast`), else None for the standard ones."""
    try:
        factory: Callable[[], asyncio.AbstractEventLoop] = importlib.import_module("uvloop").new_event_loop
    except ImportError:
        return None
    return factory
