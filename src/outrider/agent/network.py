"""Whether this host has a network: asked of its cards whenever the kernel says that something has changed."""

import asyncio
import socket
from collections.abc import Callable
from typing import Final

from outrider.kit import logs
from outrider.kit.clock import Clock
from outrider.kit.supervise import Ready

log = logs.get(__name__)

EVERY: Final = 5.0
"""Seconds between two looks where the kernel does not say when something changes, or too much at once."""
_LINKS_AND_ADDRESSES: Final = 0x1 | 0x10 | 0x100
"""RTMGRP_LINK, RTMGRP_IPV4_IFADDR and RTMGRP_IPV6_IFADDR of rtnetlink(7)."""
_MOST: Final = 64 * 1024


class Network:
    """The service that looks. Before it runs, what it found at its making counts."""

    name = "network"

    def __init__(self, look: Callable[[], bool], clock: Clock) -> None:
        """`look` says whether there is a network now."""
        self._look = look
        self._clock = clock
        self._changed = asyncio.Event()
        self.is_there = look()
        """Whether there is a network."""

    async def change(self) -> None:
        """Return once the network has come or gone."""
        before = self.is_there
        while self.is_there is before:
            await self._changed.wait()

    async def serve(self, ready: Ready) -> None:
        """Look until cancelled."""
        ready()
        try:
            news = _kernel_news()
        except OSError as error:
            log.info("the kernel does not tell of its network: it is asked now and then", reason=str(error))
            await self._look_now_and_then()
            return
        with news:
            while True:
                self.look_again()
                await self._next(news)

    async def _look_now_and_then(self) -> None:
        while True:
            self.look_again()
            await self._clock.sleep(EVERY)

    def look_again(self) -> None:
        """Look now, and tell whoever waits for a change."""
        there = self._look()
        if there is self.is_there:
            return
        log.info("this host has a network again" if there else "this host has no network")
        self.is_there = there
        self._changed.set()
        self._changed.clear()

    async def _next(self, news: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().sock_recv(news, _MOST)
        except OSError as error:
            # Said more than fits (ENOBUFS): what it was, a look tells.
            log.debug("the kernel told more of the network than was read", error=error)
            await self._clock.sleep(EVERY)


def _kernel_news() -> socket.socket:
    news = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    try:
        news.setblocking(False)  # noqa: FBT003 (the standard library takes it by position)
        news.bind((0, _LINKS_AND_ADDRESSES))
    except BaseException:
        news.close()
        raise
    return news
