"""The parts of aiohttp's server that the local APIs stand on.

`aiohttp.web` as a whole brings a router, pages of errors and a program of its own, which an idle agent would
hold in its memory for nothing: more than a megabyte.
"""

from aiohttp.web_protocol import RequestHandler, RequestPayloadError
from aiohttp.web_request import BaseRequest
from aiohttp.web_response import Response, StreamResponse
from aiohttp.web_server import Server

__all__ = [
    "BaseRequest",
    "RequestHandler",
    "RequestPayloadError",
    "Response",
    "Server",
    "StreamResponse",
]
