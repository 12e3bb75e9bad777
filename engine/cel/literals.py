"""The values of literals: numbers, strings and bytes as CEL writes them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from lark import Token

from engine.cel.values import UInt
from engine.errors import ExpressionError

Error = Callable[[str, int, str], ExpressionError]

_ESCAPE = re.compile(r"\\(?:[0-3][0-7]{2}|[xX][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.|$)", re.DOTALL)
_ESCAPED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", **{c: c for c in "\\'\"`?"}}


def literal(token: Token, error: Error) -> Any:
    """The value of a literal; `error` makes the ExpressionError of what has none."""
    text, at = str(token), token.start_pos or 0
    match token.type:
        case "NULL_LIT":
            return None
        case "BOOL_LIT":
            return text == "true"
        case "INT_LIT":
            value = _whole(text)
            # The sign may be an operator of its own, so 2**63 itself is let through here.
            if not -(2**63) <= value <= 2**63:
                raise error(f"{text} does not fit", at, "an integer of 64 bits")
            return value
        case "UINT_LIT":
            if not 0 <= _whole(text[:-1]) < 2**64:
                raise error(f"{text} does not fit", at, "an unsigned integer of 64 bits")
            return UInt(_whole(text[:-1]))
        case "FLOAT_LIT":
            number = float(text)
            if math.isinf(number):
                raise error(f"{text} does not fit", at, "a double")
            return number
        case "BYTES_LIT":
            return _bytes(text[1:], at, error)
        case _:
            return _string(text, at, error)


def _whole(text: str) -> int:
    return int(text, 16) if "x" in text.lower() else int(text)


def _inside(text: str) -> tuple[str, bool]:
    """What stands between the quotes of a string, and whether it is a raw one."""
    raw = text[0] in "rR"
    body = text[1:] if raw else text
    quotes = 3 if body[:3] in ("'''", '"""') and len(body) >= 6 else 1
    return body[quotes:-quotes], raw


def _string(text: str, at: int, error: Error) -> str:
    def unescape(match: re.Match[str]) -> str:
        escape = match[0][1:]
        if escape in _ESCAPED:
            return _ESCAPED[escape]
        if len(escape) > 1:
            code = int(escape, 8) if escape.isdigit() else int(escape[1:], 16)
            if code < 0x110000 and not 0xD800 <= code < 0xE000:
                return chr(code)
        raise error(f"unknown escape {match[0]} in a string", at, r"one of \n \t \\ \' \" \xNN \uNNNN, or r'…'")

    body, raw = _inside(text)
    return body if raw else _ESCAPE.sub(unescape, body)


def _bytes(text: str, at: int, error: Error) -> bytes:
    """Bytes of a literal: characters in UTF-8, and `\\xNN` and `\\NNN` as the byte of that number."""
    body, raw = _inside(text)
    if raw:
        return body.encode()
    found: list[bytes] = []
    end = 0
    for match in _ESCAPE.finditer(body):
        found.append(body[end : match.start()].encode())
        end = match.end()
        escape = match[0][1:]
        if escape in _ESCAPED:
            found.append(_ESCAPED[escape].encode())
        elif len(escape) == 3:
            found.append(bytes([int(escape, 8) if escape.isdigit() else int(escape[1:], 16)]))
        else:
            raise error(f"unknown escape {match[0]} in bytes", at, r"one of \n \t \\ \' \" \xNN \NNN, or br'…'")
    return b"".join([*found, body[end:].encode()])
