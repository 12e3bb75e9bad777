"""Which cluster to talk to, and as whom: a kubeconfig, or the service account of the pod this runs in."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

import yaml
from yarl import URL

from engine.errors import UsageError
from engine.kube.kubeconfig import Access, Kubeconfig
from engine.kube.plugin import at_a_terminal
from engine.kube.proxies import proxy_of

HOME_KUBECONFIG = ".kube/config"
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod finds its token and its cluster's authority (kubernetes: concepts, accessing the API from a pod)."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """Where credentials come from; `load` may be called again to get fresh ones.

    `kubeconfig` is one path, or several as the variable KUBECONFIG has them ('' for the pod's service account),
    `context` the context in it ('' for its current one), `source` says in words who named it.
    """

    kubeconfig: str
    context: str
    source: str
    service_account: Path = SERVICE_ACCOUNT

    async def load(self) -> Access:
        """Read the files again, and run the credential plugin if the kubeconfig names one. Raises UsageError."""
        try:
            access = await self._from_kubeconfig() if self.kubeconfig else self._from_pod()
            _check(access.server, "server", "https://HOST:PORT")
            if proxy := access.proxy or proxy_of(access.server, os.environ):
                _check(proxy, "proxy", "one for HTTP: http://HOST:PORT")
                access = replace(access, proxy=proxy)
            token = access.credential.token or token_in(access)  # of a file that is written later, with a token for now
        except (UsageError, OSError, ValueError, yaml.YAMLError) as error:
            raise UsageError(
                f"{self.source} cannot be used: {error}; expected what kubectl accepts (try `kubectl get namespaces`)"
            ) from error
        if not token and not access.credential.certificate:
            raise UsageError(
                f"{self.source} holds no credentials: expected a token, a client certificate, or a credential plugin (`exec`); "
                "log in to the cluster again"
            )
        return access

    async def _from_kubeconfig(self) -> Access:
        paths = [expanded(path) for path in self.kubeconfig.split(os.pathsep) if path]
        return await Kubeconfig(paths).access(self.context, at_a_terminal())

    def _from_pod(self) -> Access:
        host, port = os.environ.get("KUBERNETES_SERVICE_HOST", ""), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
        return Access(
            server=f"https://{f'[{host}]' if ':' in host else host}:{port}",
            authority=(self.service_account / "ca.crt").read_bytes(),
            token_file=self.service_account / "token",
        )


def _check(url: str, what: str, expected: str) -> None:
    """Raise UsageError, without any password, where a URL is none of HTTP that names a host."""
    try:
        parts = URL(url)
        usable = parts.scheme in ("http", "https") and bool(parts.host)
    except ValueError:  # such as a port that is no number
        usable = False
    if not usable:
        raise UsageError(f"the {what} {re.sub('//.*@', '//', url)} cannot be used; expected {expected}")


def token_in(access: Access) -> str:
    """Return what the token file holds now, without the newline at its end; '' where there is no such file. Raises OSError."""
    return access.token_file.read_text(encoding="utf-8").strip() if access.token_file else ""


def find(kubeconfig: str | None = None, context: str | None = None) -> Credentials:
    """Return the explicit kubeconfig, else the variable KUBECONFIG, else ~/.kube/config, else the pod's service account.

    What somebody named is used or refused, never passed over: it would be another cluster that is then changed.
    Raises UsageError, naming every location that was tried, where there are no credentials.
    """
    context = context or ""
    for paths, source in ((kubeconfig, "--kubeconfig"), (os.environ.get("KUBECONFIG"), "the variable KUBECONFIG")):
        if paths:
            if not any(expanded(path).is_file() for path in paths.split(os.pathsep) if path):
                raise UsageError(f"{source} names {paths}, where there is no file; expected the path of a kubeconfig")
            return Credentials(paths, context, f"the kubeconfig {paths} (from {source})")
    home = expanded(f"~/{HOME_KUBECONFIG}")
    if home.is_file():
        return Credentials(str(home), context, f"the kubeconfig {home}")
    if os.environ.get("KUBERNETES_SERVICE_HOST"):
        if context:
            raise UsageError(f"there is no kubeconfig to find the context {context} in, only the service account of this pod")
        return Credentials("", "", "the service account of this pod")
    raise UsageError(
        "no credentials for a cluster; tried --kubeconfig (not given), the variable KUBECONFIG (not set), "
        f"{home} (no such file) and the service account of a pod (KUBERNETES_SERVICE_HOST is not set: this is no pod). "
        "Give --kubeconfig PATH, or log in to a cluster so that kubectl works"
    )


def expanded(path: str) -> Path:
    """Return a path whose ~ is the home folder, where there is one: a user without an entry in /etc/passwd may have none."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)
