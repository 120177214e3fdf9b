"""Hosts looked at as they are now: their processes, their services."""
