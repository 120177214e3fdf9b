"""The typed Python client of the center's API."""
