"""The network cards of this host, their addresses, and whether they lead anywhere."""

import socket

import psutil

from outrider.engines.telemetry.cards import address_of, addresses_of, has_network, is_connected


def test_a_card_has_its_address_and_another_none() -> None:
    """The loopback's is known on every host; what is not there has none, whatever it is called."""
    assert address_of("lo") == "127.0.0.1"
    assert is_connected("lo")
    for name in ("no-such-card", "", "x" * 15):
        assert (address_of(name), list(addresses_of(name)), is_connected(name)) == ("", [], False)


def test_they_are_as_another_program_sees_them() -> None:
    """State and addresses of each card are among those that psutil reads."""
    states, known = psutil.net_if_stats(), psutil.net_if_addrs()
    for _, name in socket.if_nameindex():
        assert is_connected(name) == states[name].isup
        listed = {address.address.partition("%")[0] for address in known.get(name, ())}
        assert {str(address) for address in addresses_of(name)} <= listed
    outside = {
        name
        for name, addresses in known.items()
        if states[name].isup
        and any(
            each.family in {socket.AF_INET, socket.AF_INET6}
            and not each.address.startswith(("127.", "169.254.", "fe80:", "::1"))
            for each in addresses
        )
    }
    assert has_network() == bool(outside)
