"""IP addresses and networks in CIDR notation. Neither zones nor IPv4 addresses within IPv6 ones are accepted."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass

from engine.cel import types
from engine.cel.declarations import KUBERNETES_CIDR, KUBERNETES_IP, Function, function
from engine.cel.values import Mismatch, register

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface
_BROADCAST = ipaddress.IPv4Address("255.255.255.255")
_LOCAL_MULTICAST = ipaddress.IPv4Network("224.0.0.0/24")


@dataclass(frozen=True, slots=True)
class IP:
    """An IP address."""

    address: Address

    def __str__(self) -> str:
        return str(self.address)


@dataclass(frozen=True, slots=True)
class CIDR:
    """An IP address and the length of its network's prefix."""

    interface: Interface

    def __str__(self) -> str:
        return str(self.interface)


register(IP, types.IP)
register(CIDR, types.CIDR)


def ip(text: str) -> IP:
    """The IP address that a text says. Raises Mismatch where it says none."""
    try:
        return IP(_plain(ipaddress.ip_address(text)))
    except ValueError:
        raise Mismatch(f"{text!r:.50} is not an IP address") from None


def cidr(text: str) -> CIDR:
    """The network that a text says, such as 10.0.0.0/8. Raises Mismatch where it says none."""
    _, slash, length = text.rpartition("/")
    try:
        if not slash or "%" in text or not length.isdigit() or (len(length) > 1 and length.startswith("0")):
            raise ValueError
        interface = ipaddress.ip_interface(text)
        _plain(interface.ip)
        return CIDR(interface)
    except ValueError:
        raise Mismatch(f"{text!r:.50} is not a network such as 10.0.0.0/8") from None


def _plain(address: Address) -> Address:
    if isinstance(address, ipaddress.IPv6Address) and (address.ipv4_mapped is not None or address.scope_id is not None):
        raise ValueError
    return address


def _parses(parse: Callable[[str], object]) -> Callable[[str], bool]:
    def parses(text: str) -> bool:
        try:
            parse(text)
        except Mismatch:
            return False
        return True

    return parses


def _is_canonical(text: str) -> bool:
    return str(ip(text)) == text


def _is_link_local_multicast(value: IP) -> bool:
    if isinstance(value.address, ipaddress.IPv4Address):
        return value.address in _LOCAL_MULTICAST
    return value.address.packed[0] == 0xFF and value.address.packed[1] & 0x0F == 2


def _is_link_local_unicast(value: IP) -> bool:
    return value.address.is_link_local


def _is_global_unicast(value: IP) -> bool:
    address = value.address
    return not (
        address == _BROADCAST or address.is_unspecified or address.is_loopback or address.is_multicast or address.is_link_local
    )


def _contains_ip(value: CIDR, other: IP) -> bool:
    return other.address in value.interface.network


def _contains_cidr(value: CIDR, other: CIDR) -> bool:
    inner, outer = other.interface, value.interface
    return inner.version == outer.version and inner.network.prefixlen >= outer.network.prefixlen and inner.ip in outer.network


def _of_ip(name: str, text: str, example: str, result: str, compute: Callable[[IP], object]) -> Function:
    return function(name, text, example, KUBERNETES_IP, {f"ip.{name}() -> {result}": compute})


FUNCTIONS = (
    function("ip", "The IP address that a text says.", "ip('10.0.0.1').family() == 4", KUBERNETES_IP, {"ip(string) -> ip": ip}),
    function("isIP", "Whether a text is an IP address.", "isIP('::1') && !isIP('10.0.0.256')", KUBERNETES_IP,
             {"isIP(string) -> bool": _parses(ip)}),
    function("ip.isCanonical", "Whether an IP address is written in its shortest form.", "ip.isCanonical('2001:db8::abcd')",
             KUBERNETES_IP, {"ip.isCanonical(string) -> bool": _is_canonical}),
    _of_ip("family", "4 or 6.", "ip('::1').family() == 6", "int", lambda value: value.address.version),
    _of_ip("isUnspecified", "Whether an address is 0.0.0.0 or ::.", "ip('::').isUnspecified()", "bool",
           lambda value: value.address.is_unspecified),
    _of_ip("isLoopback", "Whether an address is a machine's own.", "ip('127.0.0.1').isLoopback()", "bool",
           lambda value: value.address.is_loopback),
    _of_ip("isLinkLocalMulticast", "Whether an address is one of 224.0.0.0/24 or ff02::/16.",
           "ip('ff02::1').isLinkLocalMulticast()", "bool", _is_link_local_multicast),
    _of_ip("isLinkLocalUnicast", "Whether an address is one of 169.254.0.0/16 or fe80::/10.",
           "ip('fe80::1').isLinkLocalUnicast()", "bool", _is_link_local_unicast),
    _of_ip("isGlobalUnicast", "Whether an address is of one machine, and valid beyond its link.",
           "ip('192.168.0.1').isGlobalUnicast()", "bool", _is_global_unicast),
    function("string", "Text: an IP address in its shortest form.", "string(ip('::0001')) == '::1'", KUBERNETES_IP,
             {"string(ip) -> string": str}),
    function("cidr", "The network that a text says.", "cidr('10.0.0.0/8').containsIP('10.1.2.3')", KUBERNETES_CIDR,
             {"cidr(string) -> cidr": cidr}),
    function("isCIDR", "Whether a text is a network.", "isCIDR('::1/128') && !isCIDR('10.0.0.0')", KUBERNETES_CIDR,
             {"isCIDR(string) -> bool": _parses(cidr)}),
    function("containsIP", "Whether an address is in a network.", "cidr('10.0.0.0/8').containsIP(ip('10.0.0.1'))",
             KUBERNETES_CIDR, {
        "cidr.containsIP(ip) -> bool": _contains_ip, "cidr.containsIP(string) -> bool": lambda value, text: _contains_ip(value,
        ip(text)),
    }),
    function("containsCIDR", "Whether a network is a part of another.", "cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16')",
             KUBERNETES_CIDR, {
        "cidr.containsCIDR(cidr) -> bool": _contains_cidr,
        "cidr.containsCIDR(string) -> bool": lambda value, text: _contains_cidr(value, cidr(text)),
    }),
    function("ip", "The address of a network.", "string(cidr('10.1.0.0/16').ip()) == '10.1.0.0'", KUBERNETES_CIDR,
             {"cidr.ip() -> ip": lambda value: IP(value.interface.ip)}),
    function("masked", "A network with the bits behind its prefix set to 0.",
             "string(cidr('10.1.2.3/8').masked()) == '10.0.0.0/8'", KUBERNETES_CIDR,
             {"cidr.masked() -> cidr": lambda value: cidr(str(value.interface.network))}),
    function("prefixLength", "The number of bits of a network's prefix.", "cidr('10.0.0.0/8').prefixLength() == 8",
             KUBERNETES_CIDR,
             {"cidr.prefixLength() -> int": lambda value: value.interface.network.prefixlen}),
    function("string", "Text: a network in CIDR notation.", "string(cidr('10.0.0.0/8')) == '10.0.0.0/8'", KUBERNETES_CIDR,
             {"string(cidr) -> string": str}),
)  # fmt: skip
