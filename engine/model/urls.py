"""What is wrong with a URL that a request is to go to, whatever an administrator lists."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

from yarl import URL

Address = IPv4Address | IPv6Address

SCHEMES = frozenset({"https", "http"})
#: What a resolver of the C library takes for a number in place of an address: decimal, octal, hexadecimal, in 1 to 4 parts.
_NUMBER = re.compile(r"(?:[0-9]+|0[xX][0-9a-fA-F]*)\.?\Z")
_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9_]([-a-z0-9_]{0,61}[a-z0-9_])?(\.[a-z0-9_]([-a-z0-9_]{0,61}[a-z0-9_])?)*\Z")
_BLANK = re.compile(r"[\x00-\x20\x7f]")
_PORT = re.compile(r"[^/?#]*//[^/?#]*:([0-9]+)(?:[/?#]|\Z)")
_SERVER = re.compile(r"[^:/?#]*://[^/?#]*[/?#]")


class UrlFault(NamedTuple):
    """What is wrong, in words that follow the request, and what is expected."""

    message: str
    expected: str

    def __str__(self) -> str:
        return f"{self.message}; expected {self.expected}"


NO_URL = UrlFault("is no URL of a server", "one that begins with https://")


def read_url(text: str) -> URL | UrlFault:
    """Return a URL that a request may go to as far as anybody may list it, or what is wrong with it.

    There is one reading of it: what is checked is what is requested.
    """
    if (port := _PORT.match(text)) and not 0 < int(port[1][:6]) <= 65535:
        return UrlFault("has a port that is none", "1 to 65535")
    try:
        url = URL(text) if not _BLANK.search(text) else URL()
        if url.scheme not in SCHEMES or not url.host or not url.port:
            return NO_URL
    except ValueError:
        return NO_URL
    if url.user is not None or url.password is not None:
        return UrlFault("has a user name in its URL", "it in the header Authorization")
    return host_fault(url.host) or url


def known_part(template: str) -> str:
    """Return what is known of a URL with `${…}` before that has a value: all of it, or up to the end of its server; else ''."""
    before, computed, _ = template.partition("${")
    if not computed:
        return template
    server = _SERVER.match(before)
    return server[0] if server else ""


def host_fault(host: str) -> UrlFault | None:
    """Return what is wrong with a host, in small letters, None where nothing is."""
    if literal(host) is not None:
        return None
    if _NUMBER.match(host.rsplit(".", 2 if host.endswith(".") else 1)[-1]):
        return UrlFault("has a number for a host", "a name, or an address in its usual form")
    return None if _NAME.match(host) else UrlFault("has a host that is no name", "letters, digits, '-' and '.'")


def literal(host: str) -> Address | None:
    """Return the address that a host is in itself, None where it is a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None
