"""A running operator with its console on an embedded cluster, users with tokens and rights, and a browser without JavaScript."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from copy import copy
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

from engine.cel import backend
from engine.cli.run import operator_of
from engine.errors import ApiError
from engine.kube.api import Api
from engine.kube.sessions import left_at_any_time
from engine.operator.settings import Settings
from engine.operator.wiring import Operator
from tests.unit.operator.test_operator import CONFIG_MAP, NAMESPACE, WIDGET, Fixture

HTML = "<script>alert(1)</script><img src=x onerror=alert(2)>"
BIDI = "\N{RIGHT-TO-LEFT OVERRIDE}\N{LEFT-TO-RIGHT ISOLATE}abc"
HOSTILE = f"</pre></li>\"'>{HTML}{BIDI}\n{{{{ 7 * 7 }}}}\r\ndata: x\n\nevent: new\x1b[31m\x00"

PACK = """\
apiVersion: rules.mlops.dev/v1alpha1
kind: RulePack
metadata: {name: widgets}
spec:
  description: 'Mark <b>what</b> is big.'
  watch: {apiVersion: example.com/v1, kind: Widget}
  targets: [{apiVersion: v1, kind: ConfigMap, verbs: [get, patch]}]
  rules:
    - name: mark
      description: Note what is big.
      when: object.spec.size > 10
      existing: CatchUp
      oncePer: object.spec.note
      actions:
        - annotate: {annotations: {example.com/mark: '${object.spec.note}'}}
        - patch: {target: {apiVersion: v1, kind: ConfigMap, name: copy}, patch: {data: {note: '${object.spec.note}'}}}
    - name: refuse
      when: object.spec.size > 100
      existing: CatchUp
      oncePer: object.metadata.uid
      actions:
        - assert: {target: {apiVersion: v1, kind: ConfigMap, name: copy}, that: 'false', message: 'it says ${object.spec.note}'}
    - name: wait
      when: object.spec.size == 50
      existing: CatchUp
      oncePer: object.metadata.uid
      retry: {timeout: 10h}
      actions:
        - patch: {target: {apiVersion: v1, kind: ConfigMap, name: copy}, patch: {data: {a: b}}, guard: 'false'}
"""
BROKEN = PACK.replace("name: widgets", "name: broken").replace("object.spec.size > 100", "object.spec.size >> '<b>'")
ADMIN, TEAM, NOBODY = "admin-token", "team-token", "nobody-token"


def jwt(expires: float, user: str = "admin") -> str:
    """A token that says when it expires."""
    parts = ({"alg": "none"}, {"sub": user, "exp": expires})
    return ".".join([*(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts), "c2ln"])


def may(spec: Mapping[str, Any]) -> bool:
    """The rights: an admin may all, the team may get widgets and ConfigMaps in its namespace, nobody nothing."""
    what = spec.get("resourceAttributes", {})
    team = what.get("namespace") == "team-a" and what.get("resource") in ("widgets", "configmaps")
    return spec["user"] == "admin" or (spec["user"] == "team" and team and what["verb"] == "get")


class Page(NamedTuple):
    """An answer."""

    status: int
    headers: Mapping[str, str]
    text: str


class Console:
    """An operator with its console; `visit` is what one user gets."""

    def __init__(self, folder: Path, pack: str = PACK) -> None:
        self.fixture = Fixture(folder)
        (folder / "pack.yaml").write_text(pack)
        self.clock, self.cluster = self.fixture.clock, self.fixture.cluster
        self.cluster.access = may
        names = {ADMIN: "admin", TEAM: "team", NOBODY: "nobody"}
        self.cluster.users |= {token: {"username": user, "groups": ["system:authenticated"]} for token, user in names.items()}
        self.operator = self._operator()

    def _operator(self, **settings: Any) -> Operator:
        api: Api = self.cluster
        own = {"operator_namespace": "system", "rules": (self.fixture.rules,), "address": "127.0.0.1", "port": 0, "probe_port": 0}
        return operator_of(api, Settings(**{**own, **settings}), self.clock, backend())

    @asynccontextmanager
    async def running(self, **settings: Any) -> AsyncIterator[Console]:
        """Run it, with two namespaces of users."""
        if settings:
            self.operator = self._operator(**settings)
        for name in ("team-a", "team-b"):
            with suppress(ApiError):
                await self.cluster.create(NAMESPACE, "", {"metadata": {"name": name}})
            await self.cluster.create(CONFIG_MAP, name, {"metadata": {"name": "copy"}, "data": {"note": "old"}})
        async with self.fixture.running(self.operator):
            await self.clock.advance(5)
            yield self

    def replica(self, **settings: Any) -> Console:
        """The same console on another replica, which is not running yet."""
        other = copy(self)
        other.operator = self._operator(**settings)
        return other

    async def widget(self, namespace: str, name: str, size: int = 20, note: str = "plain") -> None:
        """Create a widget, and have the rules act."""
        meta = {"name": name, "namespace": namespace}
        body = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": meta, "spec": {"size": size, "note": note}}
        await self.cluster.create(WIDGET, namespace, body)
        await self.clock.advance(2)

    @property
    def url(self) -> str:
        """Where the console is."""
        return f"https://127.0.0.1:{self.operator.server.port}/console/"

    async def visit(self, path: str, token: str = "", **request: Any) -> Page:
        """What a user with a token in the cookie gets; redirects are not followed."""
        headers = {"Cookie": f"rulepack-token={token}"} if token else {}
        headers |= request.pop("headers", {})
        method = request.pop("method", "GET")
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, self.url + path, headers=headers, ssl=False, allow_redirects=False, **request) as answer,
        ):
            return Page(answer.status, answer.headers.copy(), await answer.text())

    async def events(self, path: str, token: str, count: int) -> list[str]:
        """The first server-sent events that a user gets, comments and the time to wait left aside."""
        found: list[str] = []
        headers = {"Cookie": f"rulepack-token={token}"}
        async with (
            aiohttp.ClientSession() as session,
            left_at_any_time(await session.get(self.url + path, headers=headers, ssl=False)) as answer,
        ):
            assert answer.content_type == "text/event-stream"
            text = ""
            async for piece in answer.content.iter_any():
                text += piece.decode()
                *whole, text = text.split("\n\n")
                found += [each for each in whole if each.startswith("id:")]
                if len(found) >= count:
                    break
        return found
