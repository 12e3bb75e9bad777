"""What a running engine knows of an object and no manifest says: timers, what waits, and what is suspended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from engine.errors import UsageError
from engine.model.objects import Ref
from engine.testing.explain import Explanation, PackExplanation, RuleExplanation

PATIENCE = 5.0
"""Seconds that an answer may take."""
_HERE = frozenset(["localhost", "127.0.0.1", "::1"])


async def ask(url: str, token: str, ref: Ref) -> Mapping[str, Any] | str:
    """Return what the engine at a URL knows of an object, or why it does not say. Raise UsageError where it is no URL.

    The engine's certificate is its own: it is not verified where the URL is of this machine, to which kubectl forwards a port
    over a connection that is; anywhere else it has to be one that this machine trusts, since the token goes there.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"--engine {url!r} is no URL; expected one such as https://localhost:8443")
    query = {"apiVersion": ref.kind.api_version, "kind": ref.kind.kind, "namespace": ref.namespace, "name": ref.name}
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


def joined(explanation: Explanation, known: Mapping[str, Any]) -> Explanation:
    """Return an explanation with what a running engine knows."""
    return replace(explanation, packs=tuple(_pack(pack, known.get("packs", {}).get(pack.name, {})) for pack in explanation.packs))


def _pack(pack: PackExplanation, known: Mapping[str, Any]) -> PackExplanation:
    suspended = [f"suspended: the budget is spent for {known['suspended']}"] if known.get("suspended") else []
    rules = known.get("rules", {})
    return replace(pack, rules=tuple(_rule(rule, rules.get(rule.name, {}), suspended) for rule in pack.rules))


def _rule(rule: RuleExplanation, known: Mapping[str, Any], suspended: list[str]) -> RuleExplanation:
    return replace(rule, timing=(*rule.timing, *suspended, *_timers(known)))


def _timers(known: Mapping[str, Any]) -> Iterator[str]:
    if since := known.get("trueSince"):
        yield f"running: its conditions have held since {since}"
    if at := known.get("firedAt"):
        yield f"running: it fired last at {at}"
    for wait in known.get("waiting", ()):
        items = f" with {wait['items']} items" if wait["items"] > 1 else ""
        yield f"running: it waits{items} since {wait['since']} ({wait['reason']}), and is tried again at {wait['retryAt']}"
