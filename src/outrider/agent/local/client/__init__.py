"""The client API of seed 000, on the loopback."""
