"""The images of the container engine on this host, as the edge API asks for them."""

from typing import Protocol

from outrider.domain.errors import Unavailable


class ImageStore(Protocol):
    """Where containers' images are kept."""

    async def prune(self) -> int:
        """Remove the images that no container uses; return the bytes set free. Raises Unavailable."""
        ...


class NoEngine:
    """What stands for the images while this agent drives no container engine."""

    async def prune(self) -> int:
        """Refuse. Raises Unavailable."""
        raise Unavailable("This agent drives no container engine yet, so there are no images to remove.")
