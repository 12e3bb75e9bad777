"""An HTTP request as data: complete but for the secrets in it, which stand there by name only."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

HIDDEN = "(hidden)"


class SecretKey(NamedTuple):
    """One key of a Secret in the namespace of the pack. As text it is what people see in place of the value."""

    name: str
    key: str

    def __str__(self) -> str:
        return f"(secret {self.name}/{self.key})"


Sealed = tuple[str | SecretKey, ...]
"""A text in which secrets are still names. Joined as text it is fit to be shown."""


def text_of(sealed: Sealed) -> str:
    """Return a text with the names of its secrets in place of their values."""
    return "".join(map(str, sealed))


def opened(sealed: Sealed, value: Callable[[SecretKey], str]) -> str:
    """Return a text with the values of its secrets."""
    return "".join(part if isinstance(part, str) else value(part) for part in sealed)


def in_json(value: str) -> str:
    """Return a value as it stands inside a string of JSON."""
    return json.dumps(value, ensure_ascii=False)[1:-1]


class Assumed(dict[str, Any]):
    """What Audit takes for the answer of a request that it does not send: what goes by more than its status has no answer."""


class Send(NamedTuple):
    """Send one HTTP request. In a body of JSON secrets stand inside strings.

    `expected` are the status codes that are a success; none: 200 to 299. `timeout` is in seconds, for all of it. With `hidden`
    only the method is shown, since the rule reads a Secret, which may be anywhere in it.
    """

    method: str
    url: Sealed
    headers: Mapping[str, Sealed]
    body: Sealed
    as_json: bool
    timeout: float
    expected: frozenset[int] = frozenset()
    hidden: bool = False

    def expects(self, status: int) -> bool:
        """Return whether a status code is a success."""
        return status in self.expected if self.expected else 200 <= status < 300

    def __str__(self) -> str:
        return f"{self.method} {HIDDEN if self.hidden else text_of(self.url)}"

    @property
    def lines(self) -> tuple[str, ...]:
        """Return the headers and the body, without secrets, as lines for people."""
        if self.hidden:
            return ()
        body = text_of(self.body)
        return (*(f"{name}: {text_of(value)}" for name, value in self.headers.items()), *((body,) if body else ()))
