"""Which cluster to talk to, and as whom: a kubeconfig, or the service account of the pod this runs in."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from kubernetes.aio import config
from kubernetes.aio.client import Configuration

from engine.errors import UsageError

HOME_KUBECONFIG = "~/.kube/config"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Where credentials come from; `load` may be called again to get fresh ones.

    `kubeconfig` is one path, or several as the variable KUBECONFIG has them ('' for the pod's service account),
    `context` the context in it ('' for its current one), `source` says in words who named it.
    """

    kubeconfig: str
    context: str
    source: str

    async def load(self) -> Configuration:
        """Read the files again, and run the credential plugin if the kubeconfig names one. Raises UsageError."""
        configuration = Configuration()
        try:
            if self.kubeconfig:
                await config.load_kube_config(self.kubeconfig, self.context or None, configuration, False)  # type: ignore[no-untyped-call]
            else:
                config.load_incluster_config(configuration)  # type: ignore[no-untyped-call]
        except Exception as error:  # the loader lets every kind of error out where a file is not as it expects
            message = str(error) if isinstance(error, config.ConfigException) else f"{type(error).__name__}: {error}"
            raise UsageError(
                f"{self.source} cannot be used: {message}; expected what kubectl accepts (`kubectl get namespaces` tells)"
            ) from error
        if not configuration.api_key and not configuration.cert_file:
            raise UsageError(
                f"{self.source} holds no credentials: expected a token, a client certificate, or a credential command that "
                "succeeds (the log above has what it said); log in to the cluster again"
            )
        return configuration


def find(kubeconfig: str | None = None, context: str | None = None) -> Credentials:
    """Return the explicit kubeconfig, else the variable KUBECONFIG, else ~/.kube/config, else the pod's service account.

    What somebody named is used or refused, never passed over: it would be another cluster that is then changed.
    Raises UsageError, naming every location that was tried, where there are no credentials.
    """
    context = context or ""
    for paths, source in ((kubeconfig, "--kubeconfig"), (os.environ.get("KUBECONFIG"), "the variable KUBECONFIG")):
        if paths:
            if not any(Path(path).expanduser().is_file() for path in paths.split(os.pathsep) if path):
                raise UsageError(f"{source} names {paths}, where there is no file; expected the path of a kubeconfig")
            return Credentials(paths, context, f"the kubeconfig {paths} (from {source})")
    home = Path(HOME_KUBECONFIG).expanduser()
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
