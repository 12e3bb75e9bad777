"""URLs as Kubernetes takes them: absolute, or a path that begins with `/` (Go's net/url)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote, unquote_plus, unquote_to_bytes

from engine.cel import types
from engine.cel.budget import by_length
from engine.cel.declarations import KUBERNETES_URL, Function, function
from engine.cel.values import Mismatch, register

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(.*)", re.DOTALL)
_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
#: What Go escapes in none of a path's characters (net/url, shouldEscape), beside letters and digits; and what it leaves as it
#: stands, where nothing else in the path has to be escaped.
_PATH, _AS_WRITTEN = "-_.~$&+,/:;=@", re.compile(r"[A-Za-z0-9\-_.~$&+,/:;=@!'()*\[\]%]*")
_USER = re.compile(r"[A-Za-z0-9\-._:~!$&'()*+,;=%@]*")
#: A host: escapes are of bytes that are not ASCII only, and `%25` where the zone of an IPv6 address begins.
_HOST = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:\[\]<>\"\u0080-\U0010ffff]|%[89A-Fa-f][0-9A-Fa-f])*")
_ZONE = re.compile(r"(\[[^\]%]*)%25([^\]]*\].*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class URL:
    """The parts of a URL; the path is escaped, as it was written where that is valid."""

    scheme: str
    host: str
    path: str
    query: str


register(URL, types.URL)


def url(text: str) -> URL:
    """The URL that a text says. Raises Mismatch where it says none.

    Kubernetes takes what Go's ParseRequestURI takes, which knows no fragments, and has the parts that Parse gives.
    """
    whole, _, fragment = text.partition("#")
    found = _parsed(whole, request=False) if is_url(text) and not _ESCAPE.search(fragment) else None
    if found is None:
        raise Mismatch(f"{text!r:.100} is not an absolute URL, nor a path that begins with /")
    return found


def is_url(text: str) -> bool:
    """Whether a text is what a client may request: an absolute URL, or a path that begins with `/`."""
    return not _CONTROL.search(text) and _parsed(text, request=True) is not None


def _parsed(text: str, *, request: bool) -> URL | None:
    """The parts of a URL; None where a part is not valid. In a `request`, only what has a scheme has a host."""
    if text == "*":
        return URL("", "", "*", "")
    match = _SCHEME.fullmatch(text)
    scheme, rest = match.groups() if match else ("", text)
    rest, _, query = rest.partition("?")
    if not rest.startswith("/"):  # opaque, such as `mailto:a@b`: Go has no path of it
        return URL(scheme.lower(), "", "", query) if scheme else None
    host = ""
    if rest.startswith("//") and (scheme or not (request or rest.startswith("///"))):
        authority, slash, rest = rest[2:].partition("/")
        rest = slash + rest
        user, _, host = authority.rpartition("@")
        if not _USER.fullmatch(user) or _ESCAPE.search(user) or not _valid_host(host):
            return None
        host = _unescaped_host(host)
    if _ESCAPE.search(rest):
        return None
    return URL(scheme.lower(), host, rest if _AS_WRITTEN.fullmatch(rest) else quote(unquote_to_bytes(rest), safe=_PATH), query)


def _valid_host(host: str) -> bool:
    host = _ZONE.sub(r"\1\2", host)
    if not _HOST.fullmatch(host):
        return False
    if host.startswith("["):
        _, bracket, port = host.partition("]")
        return bool(bracket) and (not port or re.fullmatch(r":\d*", port, re.ASCII) is not None)
    return ":" not in host or re.fullmatch(r"[^:]*:\d*", host, re.ASCII) is not None


def _unescaped_host(host: str) -> str:
    zone = _ZONE.fullmatch(host)
    return unquote(host) if zone is None else f"{zone[1]}%{zone[2]}"


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


def _part(name: str, text: str, example: str, result: str, compute: object) -> Function:
    return function(name, text, example, KUBERNETES_URL, {f"url.{name}() -> {result}": compute})  # type: ignore[dict-item]


_EXAMPLE = "url('https://example.com:80/a b?x=1')"
FUNCTIONS = (
    function("url", "The URL that a text says: an absolute one, or a path.", f"{_EXAMPLE}.getHost() == 'example.com:80'",
             KUBERNETES_URL, {"url(string) -> url": url}, by_length(400)),
    function("isURL", "Whether a text is an absolute URL, or a path.", "isURL('https://example.com') && !isURL('example.com')",
             KUBERNETES_URL, {"isURL(string) -> bool": is_url}, by_length(400)),
    _part("getScheme", "The scheme of a URL.", f"{_EXAMPLE}.getScheme() == 'https'", "string", lambda value: value.scheme),
    _part("getHost", "The host and port of a URL.", f"{_EXAMPLE}.getHost() == 'example.com:80'", "string",
             lambda value: value.host),
    _part("getHostname", "The host of a URL, without port and brackets.", f"{_EXAMPLE}.getHostname() == 'example.com'", "string",
          _host_name),
    _part("getPort", "The port of a URL; `''` where it names none.", f"{_EXAMPLE}.getPort() == '80'", "string", _port),
    _part("getEscapedPath", "The path of a URL, escaped.", f"{_EXAMPLE}.getEscapedPath() == '/a%20b'", "string",
          lambda value: value.path),
    _part("getQuery", "The query of a URL: the values of each name.", f"{_EXAMPLE}.getQuery() == {{'x': ['1']}}",
          "map(string, list(string))", _query),
)  # fmt: skip
