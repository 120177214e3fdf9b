"""Outrider: one small agent on every machine, one control center over all of them."""

__version__ = "0.1.0"
