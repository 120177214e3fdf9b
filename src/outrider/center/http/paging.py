"""Lists in pages: where the next one is."""

from typing import Any
from urllib.parse import urlencode

from litestar import Request


def next_page(request: Request[Any, Any, Any], after: str) -> str:
    """Write the `Link` header (RFC 8288) of the page that follows the item with the id `after`."""
    asked = [(name, value) for name, value in request.query_params.multi_items() if name != "after"]
    return f'<{request.url.path}?{urlencode([*asked, ("after", after)])}>; rel="next"'
