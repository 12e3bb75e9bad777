"""Which proxy requests to a URL go through, by the variables that Go's programs, and so kubectl, obey.

The rules are those of golang.org/x/net/http/httpproxy: HTTPS_PROXY or HTTP_PROXY by the scheme, upper case first, and
NO_PROXY with IP addresses, CIDRs, names and what is below them, names that begin with '.' or '*.' for only those, ports, and '*'.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443}


def proxy_of(url: str, environ: Mapping[str, str]) -> str:
    """Return the proxy's URL, '' for none. Raises ValueError where a variable holds no URL."""
    parts = urlsplit(url)
    name = f"{parts.scheme}_proxy"
    proxy = (environ.get(name.upper()) or environ.get(name) or "").strip()
    without = environ.get("NO_PROXY") or environ.get("no_proxy") or ""
    if not proxy or is_direct(parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0), without):
        return ""
    return proxy if "://" in proxy else f"http://{proxy}"


def is_direct(host: str, port: int, without: str) -> bool:
    """Return whether a host is reached without a proxy: loopback always, others by the value of NO_PROXY."""
    host = host.lower().rstrip(".")
    address = _address(host)
    if host == "localhost" or (address is not None and address.is_loopback):
        return True
    return any(_fits(entry, host, port) for part in without.split(",") if (entry := part.strip().lower()))


def _fits(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    address = _address(host)
    if "/" in entry:
        return address is not None and _contains(entry, str(address))
    wanted, wanted_port = _split(entry)
    if wanted_port and wanted_port != str(port):
        return False
    if (other := _address(wanted)) is not None:
        return address == other
    if address is not None:
        return False
    wanted = wanted.removeprefix("*")
    return host.endswith(wanted) if wanted.startswith(".") else host == wanted or host.endswith(f".{wanted}")


def _contains(network: str, address: str) -> bool:
    try:
        return ip_address(address) in ip_network(network, strict=False)
    except ValueError:
        return False


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found


def _split(entry: str) -> tuple[str, str]:
    """Return host and port; '' for no port. An IPv6 address has a port only in brackets."""
    if entry.startswith("["):
        host, _, rest = entry[1:].partition("]")
        return host, rest.removeprefix(":")
    if entry.count(":") == 1:
        host, _, port = entry.partition(":")
        return host, port
    return entry, ""
