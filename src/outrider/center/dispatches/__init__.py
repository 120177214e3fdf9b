"""Dispatches: one command for the many hosts that a target means."""
