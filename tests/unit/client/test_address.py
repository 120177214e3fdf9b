"""Addresses of centers."""

import pytest

from outrider.client.address import check_url
from outrider.domain.errors import Invalid


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/"),
        ("http://localhost:8080/", "http://localhost:8080/"),
        ("http://[::1]:8080", "http://[::1]:8080/"),
        ("https://center.example:8443", "https://center.example:8443/"),
        ("https://example.com/outrider/", "https://example.com/outrider"),
        ("https://example.com/?q=1#x", "https://example.com/"),
    ],
)
def test_an_address_is_read(text: str, url: str) -> None:
    """Scheme, host, port and folder count; the rest is left out."""
    assert str(check_url(text, allow_plain=False)).rstrip("/") == url.rstrip("/")


@pytest.mark.parametrize(
    "text", ["", "center.example", "ftp://x", "http://", "https://x:port", "file:///etc", "//x"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    """An address that can't be asked is refused before anything is sent."""
    with pytest.raises(Invalid):
        check_url(text, allow_plain=True)


def test_plain_http_to_another_machine_must_be_allowed() -> None:
    """Secrets cross a network readable only when somebody said so."""
    with pytest.raises(Invalid, match="plain HTTP"):
        check_url("http://center.example:8080", allow_plain=False)
    assert check_url("http://center.example:8080", allow_plain=True).host == "center.example"
