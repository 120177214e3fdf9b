"""The network cards of this host and their addresses."""

import socket

from outrider.engines.telemetry.cards import address_of


def test_a_card_has_its_address_and_another_none() -> None:
    """The loopback's is known on every host; what is not there has none, whatever it is called."""
    assert address_of("lo") == "127.0.0.1"
    for name in ("no-such-card", "", "x" * 15):
        assert address_of(name) == ""
    for _, name in socket.if_nameindex():
        assert isinstance(address_of(name), str)
