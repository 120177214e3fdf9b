"""Terminals on this host: pseudo-terminals with a login shell, held by whoever opens them."""
