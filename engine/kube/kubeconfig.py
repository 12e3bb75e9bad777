"""Kubeconfigs: what they say of a cluster and of who connects to it, read as kubectl reads them (client-go: tools/clientcmd)."""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from engine.errors import UsageError
from engine.kube.plugin import NOBODY, Credential, Plugin
from engine.model.text import found

_REFUSED = {
    "username": "the API server has taken no passwords since Kubernetes 1.19: use a token, a client certificate or `exec`",
    "as": "impersonation is not supported: use the credentials of that user",
}


@dataclass(frozen=True, slots=True)
class Access:
    """All that a connection needs. Files are read already, so two of these are equal as long as nothing has changed."""

    server: str
    authority: bytes = b""
    """PEM of the authorities that the server's certificate is checked against; empty: the system's."""
    verify: bool = True
    server_name: str = ""
    """The name in the server's certificate, where it is another than that in its URL."""
    proxy: str = ""
    """That of the kubeconfig, else of the environment; empty: none."""
    token_file: Path | None = None
    credential: Credential = NOBODY
    by_plugin: bool = False
    """Whether it takes a program to have the credential again."""


class Kubeconfig:
    """One kubeconfig, or several that are merged: of two entries of one name the first counts."""

    def __init__(self, paths: Iterable[Path]) -> None:
        """Read the files that are there. Raises UsageError, OSError and yaml.YAMLError."""
        self._entries: dict[str, dict[str, tuple[Mapping[str, Any], Path]]] = {"contexts": {}, "clusters": {}, "users": {}}
        self.current = ""
        for path in paths:
            if path.is_file():
                self._add(path)

    def _add(self, path: Path) -> None:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        if document is None:
            raise UsageError(f"{path} is empty")
        if not isinstance(document, Mapping):
            raise UsageError(f"{path} holds {found(document)}; expected a mapping with clusters, contexts and users")
        self.current = self.current or str(document.get("current-context") or "")
        for part, known in self._entries.items():
            entries = document.get(part) or []
            if not isinstance(entries, list):
                raise UsageError(f"{path}: {part} is {found(entries)}; expected a list")
            for entry in entries:
                content = entry.get(part.removesuffix("s")) if isinstance(entry, Mapping) else None
                if isinstance(content, Mapping) or (isinstance(entry, Mapping) and content is None):
                    known.setdefault(str(entry.get("name") or ""), (content or {}, path.parent.absolute()))

    async def access(self, context: str, interactive: bool) -> Access:
        """Return how to connect by a context ('' for the current one), running its credential plugin. Raises UsageError."""
        context = context or self.current
        if not context:
            raise UsageError("it has no current-context: choose one with `kubectl config use-context NAME`, or by --context")
        chosen, _ = self._entry("contexts", context, "")
        cluster, folder = self._entry("clusters", str(chosen.get("cluster") or ""), f"context {context}")
        server = str(cluster.get("server") or "")
        if not server:
            raise UsageError(f"cluster {chosen.get('cluster')} has no server")
        user_name = str(chosen.get("user") or "")
        user, user_folder = self._entry("users", user_name, f"context {context}") if user_name else ({}, folder)
        for key, reason in _REFUSED.items():
            if user.get(key):
                raise UsageError(f"user {user_name} has {key}: {reason}")
        return Access(
            server=(server if "://" in server else f"http://{server}").rstrip("/"),
            authority=_content(cluster, "certificate-authority", folder),
            verify=not cluster.get("insecure-skip-tls-verify"),
            server_name=str(cluster.get("tls-server-name") or ""),
            proxy=str(cluster.get("proxy-url") or ""),
            token_file=_path(user, "tokenFile", user_folder),
            credential=await _credential(user, user_name, user_folder, cluster, interactive),
            by_plugin="exec" in user,
        )

    def _entry(self, part: str, name: str, where: str) -> tuple[Mapping[str, Any], Path]:
        if name not in self._entries[part]:
            there, kind = ", ".join(sorted(self._entries[part])) or "none", part.removesuffix("s")
            missing = f"{where} names the {kind} {name!r}, which is not there" if where else f"there is no {kind} {name!r}"
            raise UsageError(f"{missing}; found: {there}")
        return self._entries[part][name]


async def _credential(
    user: Mapping[str, Any], name: str, folder: Path, cluster: Mapping[str, Any], interactive: bool
) -> Credential:
    if isinstance(user.get("exec"), Mapping):
        return await Plugin(user["exec"], folder, cluster).run(interactive)
    token = str(user.get("token") or "").strip()
    provider = user.get("auth-provider")
    if isinstance(provider, Mapping) and not token:
        token = str((provider.get("config") or {}).get("id-token") or "") if provider.get("name") == "oidc" else ""
        if not token:
            raise UsageError(
                f"user {name} has the auth-provider {provider.get('name')} and no token of it; "
                "kubectl has dropped those as well: log in by a plugin (`exec`)"
            )
    return Credential(token, _content(user, "client-certificate", folder), _content(user, "client-key", folder))


def _content(entry: Mapping[str, Any], key: str, folder: Path) -> bytes:
    """Return what `key-data` holds, else what the file holds that `key` names."""
    if data := entry.get(f"{key}-data"):
        try:
            return base64.b64decode(str(data), validate=False)
        except binascii.Error as error:
            raise UsageError(f"{key}-data is not base64: {error}") from error
    path = _path(entry, key, folder)
    return path.read_bytes() if path else b""


def _path(entry: Mapping[str, Any], key: str, folder: Path) -> Path | None:
    return Path(os.path.normpath(folder / str(entry[key]))) if entry.get(key) else None
