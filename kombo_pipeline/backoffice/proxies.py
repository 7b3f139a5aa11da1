"""Which visitor a request comes from, when proxies stand in front.

Only X-Forwarded-For is read, and only from a proxy of KOMBO_TRUSTED_PROXIES. `Forwarded` (RFC 7239) is not: a proxy
that writes one of the two passes on the other as the visitor sent it.
"""

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from starlette.requests import Request

from kombo_pipeline.settings import Network

MAX_HOPS: Final = 32
"""More proxies stand in front of nobody; what is further left is not looked at."""
_WITH_PORT: Final = re.compile(r"\[([^\]]*)\](?::\d{1,5})?|([^:]*):\d{1,5}")
"""An address as some proxies write it: 203.0.113.7:52114, [2001:db8::1], [2001:db8::1]:52114."""

Address = IPv4Address | IPv6Address


def comes_from_proxy(request: Request, trusted: Sequence[Network]) -> bool:
    """Whether the other end of the connection is one of the trusted proxies."""
    peer = _address(request.client.host if request.client else "")
    return peer is not None and _is_in(peer, trusted)


def visitor(request: Request, trusted: Sequence[Network]) -> str:
    """Return the visitor's address; of IPv6 its network of 64 bits, of which one visitor has all addresses.

    That is the rightmost address that no trusted proxy has: what stands left of it was written by the visitor. A hop
    that is no address ends the walk at the proxy that named it.
    """
    peer = _address(request.client.host if request.client else "")
    if peer is None:
        return ""
    hops = ",".join(request.headers.getlist("x-forwarded-for")).rsplit(",", MAX_HOPS)[-MAX_HOPS:]
    while hops and _is_in(peer, trusted):
        hop = _address(hops.pop().strip())
        if hop is None:
            break
        peer = hop
    if isinstance(peer, IPv6Address):
        return f"{IPv6Address(int(peer) >> 64 << 64)}/64"
    return str(peer)


def _is_in(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)


def _address(text: str) -> Address | None:
    if found := _WITH_PORT.fullmatch(text):
        text = found[1] or found[2] or ""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
