"""Where requests may go: what an administrator lists, and which addresses a name may have.

Addresses are compared as addresses, never as text. What embeds another address (IPv4-mapped, 6to4, NAT64, Teredo) counts as that.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import NamedTuple

from yarl import URL

from engine.errors import UsageError
from engine.model.urls import SCHEMES, Address, host_fault, literal

Network = IPv4Network | IPv6Network

#: What is nobody's public address (IANA, IPv4 Special-Purpose Address Registry), multicast, and the metadata service of Azure,
#: which alone has one that looks public.
_SPECIAL = tuple(map(IPv4Network, (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
    "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3", "168.63.129.16/32",
)))  # fmt: skip
#: Global unicast, and what of it is special (IANA, IPv6 Special-Purpose Address Registry).
_UNICAST = IPv6Network("2000::/3")
_SPECIAL_6 = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "3fff::/20")))
_NAT64 = IPv6Network("64:ff9b::/96")
_FORM = "expected HOST:PORT, such as hooks.slack.com:443; http:// first means plain HTTP, =NETWORK last its private addresses"


class Allowed(NamedTuple):
    """One entry: a scheme, a host, a port, and the networks, beside public addresses, in which the host may be."""

    scheme: str
    host: str
    port: int
    networks: tuple[Network, ...] = ()


def parse_allowed(text: str) -> Allowed:
    """Return an entry from `[http://]HOST:PORT[=NETWORK[,NETWORK]…]`. Raises UsageError."""
    place, _, networks = text.partition("=")
    scheme, separator, rest = place.rpartition("://")
    try:
        url = URL(f"{scheme if separator else 'https'}://{rest}")
        ranges = tuple(map(ip_network, filter(None, networks.split(","))))
        entry = Allowed(url.scheme, url.host or "", url.explicit_port or 0, ranges)
    except ValueError as error:
        raise UsageError(f"--http-allow {text!r}: {error}; {_FORM}") from None
    if entry.scheme not in SCHEMES or not entry.port or url.path != "/" or url.query_string or url.user or host_fault(entry.host):
        raise UsageError(f"--http-allow {text!r}: {_FORM}")
    address = literal(entry.host)
    return entry if address is None else entry._replace(networks=(*entry.networks, ip_network(address)))


def allowed(entries: Iterable[Allowed], url: URL) -> Allowed | str:
    """Return the entry that lets a URL be reached, or why none does, in words that follow the request."""
    listed = [entry for entry in entries if (entry.host, entry.port) == (url.host, url.port)]
    found = next((entry for entry in listed if entry.scheme == url.scheme), None)
    if found is None and listed:
        return f"is by {url.scheme}, and the administrator lists its host and port for {listed[0].scheme}"
    if found is None:
        return "goes to a host and port that the administrator does not list; see the setting --http-allow"
    return found


def reachable(entry: Allowed, address: Address) -> bool:
    """Return whether a host that is listed may have an address: a public one, or one of its own networks."""
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        return False
    real = _embedded(address)
    mapped = isinstance(address, IPv6Address) and address.ipv4_mapped is not None  # no public server has one
    return (_public(real) and not mapped) or any(each in network for network in entry.networks for each in (address, real))


def _embedded(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address leads to, else itself."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64 or int(address) >> 32 == 0:  # also IPv4-compatible ones, which are gone since RFC 4291
        return IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None) or address


def _public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _SPECIAL)
    return address in _UNICAST and not any(address in network for network in _SPECIAL_6)
