"""The HTTP requests of actions: with the Secrets of their pack's namespace, once this replica may act."""

from __future__ import annotations

import base64
import binascii
from functools import partial
from http import HTTPStatus

from engine.errors import ApiError
from engine.kube.act import Actor
from engine.model.objects import SECRET, Ref
from engine.model.outcome import Obstacle, Outcome, Unavailable
from engine.model.plan import Read
from engine.model.send import SecretKey, Send
from engine.model.text import Quoting
from engine.outbound.sender import LISTED_LATER
from engine.packs.pack import RulePack
from engine.reconcile.answers import obstacle_of
from engine.reconcile.caches import Replica

OFF = "http is off: no administrator lists a host and port for it; see the setting --http-allow"


class _Missing(Exception):
    """A Secret is not there, or lacks a key; the message says which."""


class Requests:
    """Sends requests by the sender of a replica; without one they wait, until an administrator lists a host for one of them."""

    def __init__(self, actor: Actor, replica: Replica) -> None:
        self._actor, self._sender, self._namespace = actor, replica.sender, replica.namespace

    def refusal(self, send: Send) -> str:
        """Return why a request would not be sent, as far as that is known without secrets; '' where nothing is."""
        return OFF if self._sender is None else self._sender.refusal(send)

    async def send(self, pack: RulePack, send: Send, now: float) -> Outcome:
        """Send a request for a pack. Return Done with the answer as a mapping, or what stands in the way.

        Raises ApiError where a Secret cannot be read, and NotLeading.
        """
        if self._sender is None:
            return Unavailable(Quoting(f"{send} waits: {OFF}", f"waits: {OFF}"), now + LISTED_LATER, Obstacle.NOT_LISTED)
        try:
            reveal = partial(self._reveal, pack.namespace or self._namespace)
            return await self._sender.send(send, reveal, self._actor.check_lease)
        except _Missing as missing:
            return Unavailable(Quoting(f"{send} needs {missing}", f"needs {missing}"), now, Obstacle.SECRET_MISSING)
        except ApiError as error:
            if error.status != HTTPStatus.FORBIDDEN:
                raise
            how = f"to grant it by its name alone: rulepack rbac, with the pack {pack.identity}"
            return Unavailable(Quoting(f"{send}: {error}; {how}", how), now, obstacle_of(error) or Obstacle.MISSING_RIGHT)

    async def _reveal(self, namespace: str, key: SecretKey) -> str:
        """Return what a key of a Secret holds now. Raises ApiError and _Missing."""
        found = await self._actor.read(Read(Ref(SECRET, namespace, key.name)))
        data = found[0].get("data") or {} if found else {}
        if key.key not in data:
            raise _Missing(f"the key {key.key} of the Secret {namespace}/{key.name}, and there is none")
        try:
            return base64.b64decode(data[key.key]).decode().removesuffix("\n").removesuffix("\r")
        except (binascii.Error, UnicodeDecodeError):
            raise _Missing(f"the key {key.key} of the Secret {namespace}/{key.name} as a text, and it is none") from None
