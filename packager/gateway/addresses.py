"""Which addresses may be asked for a caller: the public ones, and never this machine's own."""

from __future__ import annotations

import ipaddress
import socket

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: What is no host of the Internet, whatever it is instead. IANA's registries of special-purpose addresses (RFC 6890),
#: and 168.63.129.16, where a virtual machine at Azure finds the platform. Written down, because what Python's
#: ``is_global`` says changed between its patch releases.
_NOT_PUBLIC_4 = tuple(
    ipaddress.IPv4Network(each)
    for each in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16",
        "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
        "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    )
)  # fmt: skip
#: All that is given out of IPv6. Loopback, IPv4-mapped, NAT64, unique local, link-local and multicast are outside.
_PUBLIC_6 = ipaddress.IPv6Network("2000::/3")
#: Inside it: Teredo and other protocols' own, documentation, 6to4. Each of them can hide an IPv4 address or is no host.
_NOT_PUBLIC_6 = tuple(
    ipaddress.IPv6Network(each) for each in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)  # fmt: skip


def is_public(address: Address) -> bool:
    """Whether it is a host of the Internet by its number."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_4)
    return address in _PUBLIC_6 and not any(address in network for network in _NOT_PUBLIC_6)


def is_this_machine(address: Address) -> bool:
    """Whether the kernel would reach `address` from itself: then it is one of this machine's. Nothing is sent."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), 9))
            return ipaddress.ip_address(probe.getsockname()[0].partition("%")[0]) == address
    except OSError:  # no way there at all
        return False


def literal(host: str) -> Address | None:
    """The address that the host of a URL is written as, or None when it is a name.

    Raises:
        ValueError: it is an address in a form of old that some programs read as another one (``127.1``, ``0x7f.1``,
            ``2130706433``, ``0177.0.0.1``), or one of a network card. The rule for "ends in a number" is the URL
            standard's (WHATWG).
    """
    if ":" in host:
        address = ipaddress.IPv6Address(host)
        if address.scope_id is not None:
            raise ValueError("an address of one network card")
        return address
    last = host.rstrip(".").rpartition(".")[2].lower()
    if last.isdigit() or (last.startswith("0x") and all(digit in "0123456789abcdef" for digit in last[2:])):
        return ipaddress.IPv4Address(host)
    return None
