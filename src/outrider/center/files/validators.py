"""What tells two states of a host's file apart, as HTTP writes it."""

from email.utils import formatdate

from outrider.domain.files import Opened


def etag_of(opened: Opened) -> str:
    """Return a strong validator: by the time and size of the file."""
    return f'"{opened.modified:x}-{opened.size:x}"'


def last_modified_of(opened: Opened) -> str:
    """Return the time of the file as HTTP writes it."""
    return formatdate(opened.modified / 1e9, usegmt=True)
