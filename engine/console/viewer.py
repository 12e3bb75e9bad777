"""Who reads the console, and what they may see: what they may get from the API server themselves."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from engine.model.objects import GROUP, Kind, Object, Ref
from engine.operator.reviews import Reviews
from engine.packs.rbac import RULE_PACK

QUESTIONS = 200
"""How many kinds and namespaces are asked about for one page; what is beyond is not shown, and that is said."""
COOKIE = "rulepack-token"
COOKIE_BYTES = 4_000
"""How long a token may be: browsers keep no cookie above 4,096 bytes (RFC 6265, 6.1)."""


class Rights(NamedTuple):
    """What was asked about a viewer's rights, with the answers: to whoever gets the same ones a page reads the same.

    `packs` is None where it was not asked whether they may see the packs.
    """

    answers: Mapping[tuple[str, Kind, str], bool]
    packs: bool | None
    complete: bool


class Viewer:
    """What one user may see, for one page. `incomplete` says that something was not asked, and so is not shown.

    `proxied`: a proxy has authenticated them, so they do not log out here.
    """

    def __init__(self, reviews: Reviews, user: Object, namespace: str, *, proxied: bool = False) -> None:
        self._reviews, self._user, self._namespace = reviews, user, namespace
        self._may: dict[tuple[str, Kind, str], bool] = {}
        self._packs: bool | None = None
        self.incomplete, self.proxied = False, proxied

    @property
    def name(self) -> str:
        """Their user name."""
        return str(self._user.get("username", ""))

    async def sees(self, ref: Ref) -> bool:
        """Return whether they may get all objects of the kind of an object where it is. Raises ApiError."""
        if ref.kind == GROUP:
            return await self.sees_packs()
        return await self.may("get", ref.kind, ref.namespace)

    async def may(self, verb: str, kind: Kind, namespace: str) -> bool:
        """Return whether they may do that to all objects of a kind in a namespace, or in all. Raises ApiError."""
        return await self._asked(verb, kind, "") or (namespace != "" and await self._asked(verb, kind, namespace))

    async def sees_packs(self) -> bool:
        """Return whether they may see the rule packs: by /packs, or as objects in the operator's namespace. Raises ApiError."""
        if self._packs is None:
            by_path = await self._reviews.may_on_path(self._user, "get", "/packs")
            self._packs = by_path or await self._asked("get", RULE_PACK, self._namespace)
        return self._packs

    def rights(self) -> Rights:
        """Return what has been asked so far."""
        return Rights(dict(self._may), self._packs, complete=not self.incomplete)

    async def has(self, rights: Rights) -> bool:
        """Return whether they get the same answers. Raises ApiError."""
        if not rights.complete:
            return False
        for what, answer in rights.answers.items():
            if await self._asked(*what) is not answer:
                return False
        return rights.packs is None or await self.sees_packs() is rights.packs

    async def _asked(self, verb: str, kind: Kind, namespace: str) -> bool:
        what = verb, kind, namespace
        if what not in self._may:
            if len(self._may) >= QUESTIONS:
                self.incomplete = True
                return False
            self._may[what] = await self._reviews.may(self._user, *what)
        return self._may[what]


def expires(token: str) -> float | None:
    """Return when a token says that it expires, in seconds since 1970, None where it does not say (RFC 7519, 4.1.4).

    It is not checked here: the API server has said by then that the token is good.
    """
    try:
        _, payload, _ = token.split(".")
        claims: Any = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        time = claims.get("exp") if isinstance(claims, Mapping) else None
        return float(time) if isinstance(time, int | float) and not isinstance(time, bool) else None
    except (ValueError, binascii.Error, RecursionError):
        return None
