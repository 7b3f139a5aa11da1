"""Whose address counts: peers that are trusted or not, headers that are absent, honest, forged or garbage."""

from ipaddress import IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from kombo_pipeline.backoffice import proxies

TRUSTED = tuple(map(ip_network, ("10.0.0.0/8", "127.0.0.1/32", "2001:db8:ffff::/48")))
PROXY, STRANGER = "10.0.0.1", "198.51.100.9"


def asked(peer: str, *forwarded: str, **others: str) -> Request:
    """A request of `peer` with a header X-Forwarded-For for each of `forwarded`."""
    headers = [(b"x-forwarded-for", value.encode("latin-1")) for value in forwarded]
    headers += [(name.replace("_", "-").encode(), value.encode()) for name, value in others.items()]
    return Request({"type": "http", "client": (peer, 1) if peer else None, "headers": headers})


@pytest.mark.parametrize(
    ("forwarded", "visitor"),
    [
        ([], PROXY),
        ([""], PROXY),
        (["203.0.113.7"], "203.0.113.7"),
        ([" 203.0.113.7 "], "203.0.113.7"),
        (["203.0.113.7:52114"], "203.0.113.7"),
        (["203.0.113.7, 10.0.0.2"], "203.0.113.7"),
        (["203.0.113.7", "10.0.0.2,10.0.0.3"], "203.0.113.7"),
        (["1.1.1.1, 203.0.113.7"], "203.0.113.7"),  # forged by the visitor
        (["10.0.0.9, 203.0.113.7"], "203.0.113.7"),
        (["1.1.1.1", "203.0.113.7"], "203.0.113.7"),
        (["203.0.113.7, unknown, 10.0.0.2"], "10.0.0.2"),
        (["203.0.113.7,,10.0.0.2"], "10.0.0.2"),
        (["203.0.113.7, "], PROXY),
        (["_hidden"], PROXY),
        (["evil.example"], PROXY),
        (["999.1.1.1"], PROXY),
        (["203.0.113.7:port"], PROXY),
        (["010.0.0.1"], PROXY),
        (["\u00e4\x00"], PROXY),
        (["10.0.0.7, 10.0.0.8"], "10.0.0.7"),  # a visitor within the trusted network
        (["2001:db8:1:2:3:4:5:6"], "2001:db8:1:2::/64"),
        (["[2001:db8:1:2::9]:443"], "2001:db8:1:2::/64"),
        (["[2001:db8:1:2::9]"], "2001:db8:1:2::/64"),
        (["2001:DB8:1:2::1, 2001:db8:ffff::5"], "2001:db8:1:2::/64"),
        (["::ffff:203.0.113.7"], "203.0.113.7"),
        (["203.0.113.7, ::ffff:10.0.0.4"], "203.0.113.7"),
        (["fe80::1%eth0"], "fe80::/64"),
    ],
)
def test_the_visitor_is_the_rightmost_hop_that_is_no_trusted_proxy(forwarded: list[str], visitor: str) -> None:
    assert proxies.visitor(asked(PROXY, *forwarded), TRUSTED) == visitor
    assert proxies.visitor(asked("::ffff:10.0.0.1", *forwarded), TRUSTED) == visitor
    # The header of anybody else, or without the setting, is worth nothing.
    assert proxies.visitor(asked(STRANGER, *forwarded), TRUSTED) == STRANGER
    assert proxies.visitor(asked("::1", *forwarded), TRUSTED) == "::/64"
    assert proxies.visitor(asked(PROXY, *forwarded), ()) == PROXY
    assert proxies.visitor(asked("", *forwarded), TRUSTED) == ""


def test_no_other_header_names_a_visitor() -> None:
    others = {"forwarded": "for=1.1.1.1", "x_real_ip": "1.1.1.1", "true_client_ip": "1.1.1.1", "client_ip": "1.1.1.1"}
    assert proxies.visitor(asked(PROXY, **others), TRUSTED) == PROXY


@given(forged=st.text(st.characters(max_codepoint=255)), seen=st.ip_addresses())
def test_nothing_that_a_visitor_writes_hides_what_the_proxy_saw(forged: str, seen: object) -> None:
    address = ip_address(str(seen))
    if any(address in network for network in TRUSTED):
        return
    honest = proxies.visitor(asked(PROXY, str(address)), TRUSTED)
    assert proxies.visitor(asked(PROXY, f"{forged}, {address}"), TRUSTED) == honest
    assert proxies.visitor(asked(PROXY, forged, str(address)), TRUSTED) == honest
    assert isinstance(address, IPv6Address) or honest == str(address)


def test_a_chain_of_any_length_is_read_no_further_than_proxies_stand() -> None:
    endless = ",".join(["10.0.0.2"] * 100_000)
    assert proxies.visitor(asked(PROXY, f"203.0.113.7,{endless}"), TRUSTED) == "10.0.0.2"


@pytest.mark.parametrize(
    ("peer", "is_trusted"),
    [("10.255.0.1", True), ("127.0.0.1", True), ("127.0.0.2", False), ("::ffff:127.0.0.1", True), ("::1", False),
     ("2001:db8:ffff:1::1", True), ("", False), ("no address", False)],
)  # fmt: skip
def test_a_peer_is_trusted_by_its_network_alone(peer: str, is_trusted: bool) -> None:
    assert proxies.comes_from_proxy(asked(peer, "10.0.0.1"), TRUSTED) == is_trusted
    assert not proxies.comes_from_proxy(asked(peer, "10.0.0.1"), ())
