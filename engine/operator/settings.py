"""The settings of an operator: from the command line, else from the environment, else defaults."""

from __future__ import annotations

import re
import socket
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from engine.errors import ApiError, UsageError
from engine.kube.selectors import label_selector
from engine.model.flags import Mode, parse_mode
from engine.operator.extension import Applications
from engine.operator.requestheader import RequestHeader
from engine.operator.shards import Shard
from engine.outbound.allowed import Allowed
from engine.packs.sources import shipped_rules

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod finds its service account's namespace (kubernetes: concepts, accessing the API from a pod)."""
OPERATOR_NAMESPACE = "rulepack-system"
LEASE_NAME = "rulepack"

_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")

LogFormat = Literal["text", "json"]


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one operator process."""

    operator_namespace: str = OPERATOR_NAMESPACE
    """Where its Lease, feature flags, parameters and ConfigMap packs are."""
    namespaces: tuple[str, ...] = ("",)
    """Namespaces to watch; '' stands for all of them."""
    rules: tuple[Path, ...] = field(default_factory=lambda: (shipped_rules(),))
    """Folders or files of rule packs."""
    flags: Mapping[str, Mode] = field(default_factory=dict)
    """Modes by pack that go before those of the ConfigMap."""
    dry_run: bool = False
    """Every pack that is not Off is treated as Audit, and nothing at all is written."""
    kubeconfig: Path | None = None
    context: str = ""
    workers: int = 16
    """How many objects are handled at the same time."""
    address: str = ""
    """Where the servers listen; empty: on every address of both families of IP."""
    port: int = 8443
    """Of /metrics and /packs; 0 picks a free one."""
    probe_port: int = 8081
    """Of /healthz and /readyz; 0 picks a free one."""
    tls_folder: Path | None = None
    """Where tls.crt and tls.key for `port` are, now or later; without them the certificate is self-signed."""
    insecure_metrics: bool = False
    """Whether `port` speaks plain HTTP, and to everybody."""
    console: bool = True
    """Whether the console is served on `port`; never where that speaks plain HTTP."""
    request_header: RequestHeader | None = None
    """Whose headers name users of the console; nobody's."""
    applications: Applications | None = None
    """Whose applications an extension of another user interface may ask about; nobody's, and there is no such route."""
    lease_name: str = LEASE_NAME
    in_pod: bool = True
    """Whether it runs in a pod; a process that does not never takes the Lease of an operator that does."""
    shard: Shard | None = None
    """Which part of the cluster is this operator's, where several share it; None where it has all to itself."""
    http_allow: tuple[Allowed, ...] = ()
    """Where the action `http` may send requests; nowhere: it is off."""
    watch_label_selector: str = ""
    """Which objects are watched at all, beside what each pack says."""
    identity: str = field(default_factory=lambda: f"{socket.gethostname()}_{uuid.uuid4()}")
    """Who this replica is in the Lease; a pod's host name is its own name, and the rest distinguishes two processes."""
    grace_period: float = 15.0
    """Seconds that workers have to finish what they are at, when the operator is to stop.

    Giving up the Lease may take 10 s more, and a pod has 30 s in all unless it says otherwise.
    """
    log_level: str = "info"
    log_format: LogFormat = "text"

    def __post_init__(self) -> None:
        for namespace in (*filter(None, self.namespaces), self.operator_namespace):
            check_namespace(namespace)
        for path in self.rules:
            if not path.exists():
                raise UsageError(f"--rules {path}: there is no such file or folder")
        try:
            label_selector(self.watch_label_selector)
        except ApiError as error:
            raise UsageError(f"--watch-label-selector {self.watch_label_selector!r}: {error.message}") from error
        if self.workers < 1:
            raise UsageError(f"--workers {self.workers}: expected 1 or more")


def check_namespace(name: str) -> None:
    """Raise UsageError where no namespace can have this name."""
    if not _NAMESPACE.fullmatch(name):
        expected = "at most 63 of a-z, 0-9 and '-', with no '-' at either end"
        raise UsageError(f"namespace {name!r} cannot exist; expected {expected}")


def watched_namespaces(options: Sequence[str], environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the namespaces of `--namespace`, else of WATCH_NAMESPACE (comma separated, as OLM sets it), else all: ('',)."""
    names = list(options) or environ.get("WATCH_NAMESPACE", "").split(",")
    wanted = dict.fromkeys(name.strip() for name in names)
    if not options:
        return tuple(name for name in wanted if name) or ("",)
    return ("",) if "" in wanted else tuple(wanted)


def own_namespace(option: str | None, environ: Mapping[str, str], service_account: Path = SERVICE_ACCOUNT) -> str:
    """Return the namespace of `--operator-namespace`, of POD_NAMESPACE, of the pod's service account, or rulepack-system."""
    if named := option or environ.get("POD_NAMESPACE"):
        return named
    try:
        return (service_account / "namespace").read_text().strip() or OPERATOR_NAMESPACE
    except OSError:
        return OPERATOR_NAMESPACE


def parse_flags(texts: Sequence[str]) -> dict[str, Mode]:
    """Return the modes that `--feature-flags a=Off,b=Audit` names; later ones win. Raises UsageError."""
    flags: dict[str, Mode] = {}
    for entry in (entry.strip() for text in texts for entry in text.split(",")):
        if not entry:
            continue
        name, equals, value = entry.partition("=")
        mode = parse_mode(value)
        if not (name.strip() and equals) or mode is None:
            raise UsageError(f"--feature-flags {entry!r}: expected PACK=Enforce, PACK=Audit or PACK=Off")
        flags[name.strip()] = mode
    return flags
