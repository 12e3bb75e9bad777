"""Bytes as text in Base64, with or without padding (RFC 4648)."""

from __future__ import annotations

import base64
import binascii

from engine.cel.budget import by_length
from engine.cel.declarations import GO_ENCODERS, function
from engine.cel.values import Mismatch


def decode(value: str) -> bytes:
    """The bytes of a text in Base64. Raises Mismatch where it is none."""
    try:
        return base64.b64decode(value + "=" * (-len(value) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise Mismatch(f"{value!r:.50} is not Base64") from None


FUNCTIONS = (
    function("base64.encode", "Bytes as text in Base64.", "base64.encode(b'hello') == 'aGVsbG8='", GO_ENCODERS,
             {"base64.encode(bytes) -> string": lambda value: base64.b64encode(value).decode()}, by_length(400)),
    function("base64.decode", "The bytes of a text in Base64.", "base64.decode('aGVsbG8=') == b'hello'", GO_ENCODERS,
             {"base64.decode(string) -> bytes": decode}, by_length(400)),
)  # fmt: skip
