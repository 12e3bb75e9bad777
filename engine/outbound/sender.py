"""What sends the requests of actions, for those who need no more than that of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from engine.model.outcome import Outcome
from engine.model.send import SecretKey, Send

LISTED_LATER = 300.0
"""Seconds until a request is tried again that an administrator does not let go: only a new process has another list."""
Reveal = Callable[[SecretKey], Awaitable[str]]
"""Returns what a key of a Secret holds."""


class Sender(Protocol):
    """What sends the requests of actions: `HttpClient`, or what plays answers in a test."""

    def refusal(self, send: Send) -> str:
        """Return why a request would not be sent, as far as that is known without secrets; '' where nothing is."""
        ...

    async def send(self, send: Send, reveal: Reveal, check_lease: Callable[[], None]) -> Outcome:
        """Send a request. Return Done with the answer as a mapping, or what stands in the way.

        `check_lease` is called last of all before it is sent. Raises what it raises, and what `reveal` raises.
        """
        ...
