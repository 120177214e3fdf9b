"""Bodies of HTTP answers, read within bounds."""

import aiohttp


class AnswerTooLong(Exception):
    """An answer has more bytes than any real center would send."""


async def read_body(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """Return the whole body. Raises AnswerTooLong beyond `limit` bytes, or aiohttp.ClientError."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > limit:
            raise AnswerTooLong(f"{response.url} answered more than {limit} bytes")
    return bytes(body)
