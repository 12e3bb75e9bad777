"""Credential plugins of kubeconfigs: programs that print a token or a client certificate.

Kubernetes: reference, access-authn-authz, authentication, "client-go credential plugins".
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from engine.errors import UsageError

SECONDS = 60.0
"""How long a plugin may take where nobody is there to answer it."""


@dataclass(frozen=True, slots=True)
class Credential:
    """Who connects: a token, a client certificate with its key (PEM), or both; `expires` is in seconds since 1970, 0: never."""

    token: str = ""
    certificate: bytes = b""
    key: bytes = b""
    expires: float = 0.0


NOBODY = Credential()


class Plugin:
    """The `exec` of a user in a kubeconfig that lies in `folder`."""

    def __init__(self, spec: Mapping[str, Any], folder: Path, cluster: Mapping[str, Any]) -> None:
        self._spec, self._cluster = spec, cluster
        self._command = str(spec.get("command") or "")
        self._version = str(spec.get("apiVersion") or "")
        if not self._command or not self._version:
            raise UsageError("`exec` has no command or no apiVersion")
        self._program = str(folder / self._command) if os.sep in self._command else self._command

    async def run(self, interactive: bool) -> Credential:
        """Return what the plugin prints. Raises UsageError, with the installHint where the program is missing."""
        mode = self._spec.get("interactiveMode") or "IfAvailable"
        if mode == "Always" and not interactive:
            raise UsageError(f"the credential plugin {self._command} wants to ask somebody, and nobody is at a terminal")
        interactive = interactive and mode != "Never"
        arguments = [str(argument) for argument in self._spec.get("args") or ()]
        try:
            process = await asyncio.create_subprocess_exec(
                self._program, *arguments, env=self._environment(interactive),
                stdin=None if interactive else asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
                stderr=None if interactive else asyncio.subprocess.PIPE,
            )  # fmt: skip
        except OSError as error:
            hint = str(self._spec.get("installHint") or "").strip()
            raise UsageError(
                f"the credential plugin {self._command} cannot be run: {error.strerror or error}" + (f"\n{hint}" if hint else "")
            ) from error
        try:
            out, err = await asyncio.wait_for(process.communicate(), None if interactive else SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()
            raise UsageError(f"the credential plugin {self._command} did not end within {SECONDS:.0f} s") from None
        if process.returncode:
            said = (err or b"").decode(errors="replace").strip()[-500:]
            raise UsageError(f"the credential plugin {self._command} ended with status {process.returncode}: {said or 'no word'}")
        return self._read(out)

    def _environment(self, interactive: bool) -> dict[str, str]:
        spec: dict[str, Any] = {"interactive": interactive}
        if self._spec.get("provideClusterInfo"):
            spec["cluster"] = {key: value for key, value in self._cluster.items() if key != "extensions"}
        info = {"apiVersion": self._version, "kind": "ExecCredential", "spec": spec}
        own = {str(one.get("name")): str(one.get("value") or "") for one in self._spec.get("env") or ()}
        return {**os.environ, **own, "KUBERNETES_EXEC_INFO": json.dumps(info)}

    def _read(self, out: bytes) -> Credential:
        try:
            answer = json.loads(out)
            status = answer["status"]
            if answer["apiVersion"] != self._version:
                raise UsageError(
                    f"the credential plugin {self._command} speaks {answer['apiVersion']}, the kubeconfig expects {self._version}"
                )
            expires = status.get("expirationTimestamp")
            credential = Credential(
                str(status.get("token") or "").strip(),
                str(status.get("clientCertificateData") or "").encode(),
                str(status.get("clientKeyData") or "").encode(),
                datetime.fromisoformat(expires).timestamp() if expires else 0.0,
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            what = f"{type(error).__name__}: {error}"
            raise UsageError(f"the credential plugin {self._command} printed no ExecCredential with a status ({what})") from error
        if not credential.token and not (credential.certificate and credential.key):
            raise UsageError(f"the credential plugin {self._command} gave neither a token nor a client certificate with its key")
        return credential


def at_a_terminal() -> bool:
    """Return whether a plugin may ask somebody."""
    return sys.stdin is not None and sys.stdin.isatty()
