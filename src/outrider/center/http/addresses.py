"""Where a request comes from. uvicorn has replaced the peer's address by what a trusted proxy says."""

import ipaddress
from typing import Any

from litestar.connection import ASGIConnection
from litestar.types import Scope


def client_address(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    """Return the caller's address, empty when it is not known."""
    return address_in(connection.scope)


def address_in(scope: Scope) -> str:
    """Return the address in a connection's scope, empty when it is not known."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def is_loopback(address: str) -> bool:
    """Tell whether an address is this machine's own; a name, or none, is not."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
