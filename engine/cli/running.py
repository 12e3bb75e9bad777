"""Asks a running engine what it knows of an object and no manifest says: timers, what waits, and what is suspended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from engine.errors import UsageError
from engine.model.objects import Ref

PATIENCE = 5.0
"""Seconds that an answer may take."""
_HERE = frozenset(["localhost", "127.0.0.1", "::1"])


async def ask(url: str, token: str, ref: Ref | None = None) -> Mapping[str, Any] | str:
    """Return what the engine at a URL knows of an object, without one of its packs, or why it does not say.

    Raise UsageError where it is no URL.

    The engine's certificate is its own: it is not verified where the URL is of this machine, to which kubectl forwards a port
    over a connection that is; anywhere else it has to be one that this machine trusts, since the token goes there.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"--engine {url!r} is no URL; expected one such as https://localhost:8443")
    query = {} if ref is None else {
        "apiVersion": ref.kind.api_version, "kind": ref.kind.kind, "namespace": ref.namespace, "name": ref.name,
    }  # fmt: skip
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    timeout, ssl = aiohttp.ClientTimeout(total=PATIENCE), parts.hostname not in _HERE
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=headers) as session,
            session.get(f"{url.rstrip('/')}/packs", params=query, ssl=ssl, allow_redirects=False) as answer,
        ):
            if answer.status != 200:
                return f"{answer.status}: {(await answer.text()).strip()[:500]}"
            found: Mapping[str, Any] = await answer.json()
    except (aiohttp.ClientError, TimeoutError, ValueError, OSError) as error:
        return str(error) or "no answer"
    if not found.get("leading"):
        return f"it stands by, and {found.get('leader') or 'nobody'} leads; ask that one"
    return found
