"""Users whom a proxy in front has authenticated, and names in headers, as kube-apiserver's --requestheader-* options have it.

The headers count on a connection that shows a certificate of the authority of proxies, with one of their names, and nowhere else.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from multidict import CIMultiDictProxy

from engine.errors import UsageError
from engine.model.objects import Object

USERNAME_HEADERS, GROUP_HEADERS = ("X-Forwarded-User",), ("X-Forwarded-Groups",)
AUTHENTICATED = "system:authenticated"
RESERVED = "system:"
"""What names of Kubernetes itself begin with: a proxy's users have none of them."""
OPTION = "--requestheader-client-ca-file"


class Untrusted(Exception):
    """The trusted proxy names nobody who can be taken; says why."""


@dataclass(frozen=True, slots=True)
class RequestHeader:
    """Whose headers count, and which they are."""

    client_ca_file: Path
    """The authorities, as PEM, that sign certificates of proxies; read again when it changes."""
    allowed_names: tuple[str, ...]
    """Common names of proxies."""
    username_headers: tuple[str, ...] = USERNAME_HEADERS
    """The first one that is there has the user name."""
    group_headers: tuple[str, ...] = GROUP_HEADERS
    """All that are there have groups."""

    def user(self, certificate: Mapping[str, Any] | None, headers: CIMultiDictProxy[str]) -> Object | None:
        """Return whom a request is from by its headers, None where these do not count or name nobody.

        `certificate` is what TLS has checked, as `ssl.SSLSocket.getpeercert` has it. Raises Untrusted.
        """
        if not certificate or not self.allowed_names or not set(_common_names(certificate)) & set(self.allowed_names):
            return None
        names = next((found for name in self.username_headers if (found := headers.getall(name, []))), [])
        if not names:
            return None
        if len(names) > 1 or not names[0].strip():  # a proxy that adds to what a browser has sent, in place of replacing it
            raise Untrusted("the proxy sends the header with the user name empty or more than once")
        name = names[0].strip()
        if name.startswith(RESERVED):
            raise Untrusted(f"the proxy names {name!r}, and names with {RESERVED} are Kubernetes' own: log in with a token")
        groups = [
            group.strip() for header in self.group_headers for value in headers.getall(header, []) for group in value.split(",")
        ]
        kept = [group for group in dict.fromkeys(groups) if group and not group.startswith(RESERVED)]
        return {"username": name, "groups": [*kept, AUTHENTICATED]}


def parse_request_header(
    client_ca_file: Path | None, allowed_names: Sequence[str], username_headers: Sequence[str], group_headers: Sequence[str]
) -> RequestHeader | None:
    """Return what the options say, None where no headers count. Raises UsageError."""
    names, users, groups = (_listed(each) for each in (allowed_names, username_headers, group_headers))
    if client_ca_file is None:
        if names or users or groups:
            raise UsageError(f"the other options --requestheader-* need {OPTION}: without it no header counts")
        return None
    if not names:
        raise UsageError(f"{OPTION} needs --requestheader-allowed-names: the common names of the proxy's certificates")
    authorities(client_ca_file)
    return RequestHeader(client_ca_file, names, users or USERNAME_HEADERS, groups or GROUP_HEADERS)


def authorities(path: Path) -> str:
    """Return the authorities in a file, as PEM. Raises UsageError where it has none."""
    try:
        text = path.read_text("ascii")
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(cadata=text)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise UsageError(f"{OPTION} {path}: {error}; expected certificates of authorities, as PEM") from error
    return text


def _listed(values: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for value in values for part in value.split(",") if (name := part.strip()))


def _common_names(certificate: Mapping[str, Any]) -> Iterator[str]:
    return (value for part in certificate.get("subject", ()) for name, value in part if name == "commonName")
