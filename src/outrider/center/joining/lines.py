"""The lines that people paste on a host: they fetch the install script and run it.

Each verifies the center's certificate by the center's own authority, which is in the line itself. curl's
`--pinnedpubkey` would be shorter, but pins the server's own key, which is new with each renewed certificate.
"""

import base64
import re
import shlex
import ssl
from typing import Final
from urllib.parse import quote, urlsplit

import msgspec

from outrider.center.joining.outward import Outward

PATH: Final = "/api/agents/install-script"
_CERTIFICATE: Final = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
# What is not fetched whole is not run, and the line fails with it: a plain pipe would end well all the same.
_RUN: Final = '&& printf "%s\\n" "$s" | sh'
_PYTHON: Final = (
    "import base64,socket,ssl,sys;"
    '{context};c=socket.create_connection(("{host}",{port}),30);{wrap}'
    'c.sendall(b"GET {path} HTTP/1.0\\r\\nHost: {name}\\r\\n\\r\\n");'
    'h,_,b=b"".join(iter(lambda:c.recv(65536),b"")).partition(b"\\r\\n\\r\\n");'
    'sys.exit(b.decode()) if b" 200 " not in h[:16] else sys.stdout.write(b.decode())'
)


class InstallLines(msgspec.Struct, frozen=True, kw_only=True):
    """How a host joins, as lines to paste there; both are null when hosts can't reach this center."""

    #: The center's address in the lines.
    url: str | None
    #: For a host that has curl.
    curl: str | None
    #: For a host that has nothing but python3.
    python: str | None
    #: What to know of them; empty when there is nothing.
    note: str


def install_lines(outward: Outward, key: str) -> InstallLines:
    """Make the lines for a key."""
    seen = outward.of_any_host()
    if not seen.url:
        return InstallLines(url=None, curl=None, python=None, note=seen.note)
    # A host that trusts the newest trusts the server: it is the newest that signs its certificate.
    authorities = _CERTIFICATE.findall(outward.trusted_by(seen.url))
    authority = authorities[0] if authorities else ""
    path = f"{PATH}?key={quote(key, safe='')}"
    return InstallLines(
        url=seen.url,
        curl=_with_curl(seen.url, path, authority),
        python=_with_python(seen.url, path, authority),
        note=seen.note,
    )


def _with_curl(url: str, path: str, authority: str) -> str:
    address = shlex.quote(url + path)
    if not authority:
        return f"s=$(curl -fsS {address}) {_RUN}"
    lines = " ".join(shlex.quote(line) for line in authority.splitlines())
    return f"""s=$(printf "%s\\n" {lines} | curl -fsS --cacert /dev/stdin {address}) {_RUN}"""


def _with_python(url: str, path: str, authority: str) -> str:
    parts = urlsplit(url)
    context = "s=ssl.create_default_context()"
    if authority:
        der = base64.b64encode(ssl.PEM_cert_to_DER_cert(authority)).decode("ascii")
        context = f"""s=ssl.create_default_context(cadata=base64.b64decode("{der}"))"""
    host = parts.hostname or ""
    secure = parts.scheme == "https"
    program = _PYTHON.format(
        context=context,
        host=host,
        port=parts.port or (443 if secure else 80),
        wrap=f'c=s.wrap_socket(c,server_hostname="{host}");' if secure else "",
        path=parts.path.rstrip("/") + path,
        name=parts.netloc,
    )
    return f"s=$(python3 -c {shlex.quote(program)}) {_RUN}"
