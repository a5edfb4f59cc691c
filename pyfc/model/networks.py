"""Which addresses the server may ask something for others, and which name what it may ask besides."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pyfc.errors import InvalidArgument

METADATA = ("169.254.169.254", "100.100.100.200")
"""Where clouds hand credentials to whoever asks."""
METADATA_V6 = ("fd00:ec2::254", "fd20:ce::254", "fd00:42::42", "fe80::a9fe:a9fe")
"""Amazon's, Google's, Scaleway's and OpenStack's."""
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_METADATA = frozenset(map(ipaddress.ip_address, (*METADATA, *METADATA_V6)))
_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")
"""Of networks that translate: the end is an IPv4 address."""


def address_of(text: str) -> Address:
    """An address as it is used: of an IPv6 one that means an IPv4 one, that. Raises ValueError."""
    found = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(found, ipaddress.IPv4Address):
        return found
    meant = found.ipv4_mapped or found.sixtofour
    if meant is None and found in _TRANSLATED:
        meant = ipaddress.IPv4Address(found.packed[-4:])
    return meant or found


def is_forbidden(address: Address) -> bool:
    """Whether nobody is asked for there, whatever is allowed: metadata services, link-local and multicast addresses,
    and those that mean no machine.
    """
    return (
        address in _METADATA
        or address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or str(address) == "255.255.255.255"
    )


def is_private(address: Address, own: Iterable[str]) -> bool:
    """Whether it is of this machine, which has the addresses `own`, or of a net that is not public."""
    return not address.is_global or str(address) in own


class Allowed(NamedTuple):
    """What may be asked although it is of this machine or a private net: one of these, and a port, 0 for all."""

    host: str
    """A name; '' for a network."""
    network: Network | None
    port: int

    def has(self, host: str, port: int, address: Address) -> bool:
        """Whether a request to `host`, which is at `address`, is meant."""
        if self.port and self.port != port:
            return False
        if self.network is None:
            return self.host == host.lower().rstrip(".")
        return address.version == self.network.version and address in self.network


def may_be_asked(host: str, port: int, address: Address, own: Iterable[str], rules: Iterable[Allowed]) -> bool:
    """Whether `host`, which is at `address`, is asked for others; this machine has the addresses `own`."""
    if is_forbidden(address):
        return False
    return not is_private(address, own) or any(rule.has(host, port, address) for rule in rules)


def why_not(host: str, port: int, addresses: Sequence[Address]) -> str:
    """What people are told of a host none of whose addresses is asked."""
    shown = ", ".join(dict.fromkeys(map(str, addresses)))
    name = f"[{host}]" if ":" in host else host
    advice = "" if all(map(is_forbidden, addresses)) else f" unless PYFC_ALLOW_OUTGOING has {name}:{port}"
    return f"{shown} is not asked for others{advice}"


def said_by(host: str) -> Address | None:
    """The address that a host is or must mean; None for a name that may have any."""
    if host.lower().rstrip(".").rpartition(".")[2] == "localhost":
        return ipaddress.IPv4Address("127.0.0.1")
    try:
        return address_of(host)
    except ValueError:
        return None


def allowed(text: str) -> Allowed:
    """What one text allows: HOST, ADDRESS or NETWORK, the first two also with :PORT. Raises InvalidArgument."""
    host, port = _parts(text)
    try:
        return Allowed("", ipaddress.ip_network(host, strict=False), port)
    except ValueError:
        pass
    if not host or "/" in host or not host.isascii() or any(each.isspace() or each in "@?#[]:*" for each in host):
        raise InvalidArgument(message=f"{text!r} is no HOST, HOST:PORT, ADDRESS or NETWORK (like 10.0.0.0/8)")
    return Allowed(host.lower().rstrip("."), None, port)


def _parts(text: str) -> tuple[str, int]:
    """Host and port, 0 for none."""
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":")
    else:
        host, _, port = text.partition(":") if text.count(":") == 1 else (text, "", "")
    if not port:
        return host, 0
    if not (port.isascii() and port.isdigit() and len(port) < 6) or not 0 < int(port) < 65536:
        raise InvalidArgument(message=f"{text!r} has no port of 1 to 65535")
    return host, int(port)
