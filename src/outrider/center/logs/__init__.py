"""Logs of hosts, read live."""
