"""URLs as Kubernetes takes them: absolute, or a path that begins with `/` (Go's net/url, ParseRequestURI)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote_plus

from engine.cel import types
from engine.cel.budget import by_length
from engine.cel.declarations import KUBERNETES_URL, Function, function
from engine.cel.values import Mismatch, register

_URL = re.compile(r"(?:([A-Za-z][A-Za-z0-9+.-]*):)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?", re.DOTALL)
_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
#: What Go escapes in none of a path's characters (net/url, shouldEscape), beside letters and digits.
_PATH = "-_.~$&+,/:;=@%!'()*[]"
_HOST = re.compile(r"[A-Za-z0-9\-._~!$&'()*+,;=:\[\]<>\"%\u0080-\U0010ffff]*")


@dataclass(frozen=True, slots=True)
class URL:
    """The parts of a URL; a path escaped as it was written, where that is valid."""

    scheme: str
    host: str
    path: str
    query: str


register(URL, types.URL)


def url(text: str) -> URL:
    """The URL that a text says. Raises Mismatch where it says none."""
    wrong = Mismatch(f"{text!r:.100} is not an absolute URL, nor a path that begins with /")
    match = _URL.fullmatch(text)
    if match is None or not text or _CONTROL.search(text):
        raise wrong
    scheme, authority, path, query, _ = match.groups()
    if not scheme and (text[0] != "/" or (authority is not None and not path.startswith("/"))):
        raise wrong
    if scheme and authority is None and not path.startswith("/"):
        path = ""  # opaque, such as `mailto:a@b`: Go has no path of it
    if _ESCAPE.search(path) or not _valid_host(host := (authority or "").rpartition("@")[2]):
        raise wrong
    return URL((scheme or "").lower(), host, path, query or "")


def _valid_host(host: str) -> bool:
    if not _HOST.fullmatch(host):
        return False
    if host.startswith("["):
        _, bracket, port = host.partition("]")
        return bool(bracket) and (not port or re.fullmatch(r":\d*", port, re.ASCII) is not None)
    return ":" not in host or re.fullmatch(r"[^:]*:\d*", host, re.ASCII) is not None


def _host_name(value: URL) -> str:
    if value.host.startswith("["):
        return value.host[1 : value.host.index("]")]
    return value.host.partition(":")[0]


def _port(value: URL) -> str:
    return value.host.rpartition("]")[2].partition(":")[2]


def _query(value: URL) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for pair in value.query.split("&"):
        if not pair or ";" in pair or _ESCAPE.search(pair):
            continue
        key, _, item = pair.partition("=")
        found.setdefault(unquote_plus(key), []).append(unquote_plus(item))
    return found


def _is_url(text: str) -> bool:
    try:
        url(text)
    except Mismatch:
        return False
    return True


def _part(name: str, text: str, example: str, result: str, compute: object) -> Function:
    return function(name, text, example, KUBERNETES_URL, {f"url.{name}() -> {result}": compute})  # type: ignore[dict-item]


_EXAMPLE = "url('https://example.com:80/a b?x=1')"
FUNCTIONS = (
    function("url", "The URL that a text says: an absolute one, or a path.", f"{_EXAMPLE}.getHost() == 'example.com:80'",
             KUBERNETES_URL, {"url(string) -> url": url}, by_length(400)),
    function("isURL", "Whether a text is an absolute URL, or a path.", "isURL('https://example.com') && !isURL('example.com')",
             KUBERNETES_URL, {"isURL(string) -> bool": _is_url}, by_length(400)),
    _part("getScheme", "The scheme of a URL.", f"{_EXAMPLE}.getScheme() == 'https'", "string", lambda value: value.scheme),
    _part("getHost", "The host and port of a URL.", f"{_EXAMPLE}.getHost() == 'example.com:80'", "string",
             lambda value: value.host),
    _part("getHostname", "The host of a URL, without port and brackets.", f"{_EXAMPLE}.getHostname() == 'example.com'", "string",
          _host_name),
    _part("getPort", "The port of a URL; `''` where it names none.", f"{_EXAMPLE}.getPort() == '80'", "string", _port),
    _part("getEscapedPath", "The path of a URL, escaped.", f"{_EXAMPLE}.getEscapedPath() == '/a%20b'", "string",
          lambda value: quote(value.path, safe=_PATH)),
    _part("getQuery", "The query of a URL: the values of each name.", f"{_EXAMPLE}.getQuery() == {{'x': ['1']}}",
          "map(string, list(string))", _query),
)  # fmt: skip
