"""An upload's form, read while it comes: multipart/form-data in any order, the file never held whole.

The parser is the one that Litestar brings along (`multipart`): it reads piece by piece, and bounds a part's
headers. Names and values are bytes here, since a host's paths need not be text.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from multipart import MultipartError, PushMultipartParser, parse_options_header

from outrider.domain.errors import Invalid
from outrider.domain.files import Placing
from outrider.kit.nearest import nearest

FILE: Final = "file"
FIELDS: Final = ("dest", "mode", "owner", "overwrite", "extract")
TAR_GZ: Final = "tar.gz"
_MOST_OF_A_FIELD: Final = 8 * 1024
_MOST_PARTS: Final = 16
_MOST_BOUNDARY: Final = 200
_MOST_MODE: Final = 0o777
_MOST_MODE_DIGITS: Final = 6
_TRUTHS: Final = {b"true": True, b"1": True, b"yes": True, b"false": False, b"0": False, b"no": False}


@dataclass(frozen=True, slots=True)
class FileBegins:
    """The file's bytes come next; `name` is what its sender calls it, without folders."""

    name: bytes


@dataclass(frozen=True, slots=True)
class FileEnds:
    """All of the file's bytes have come."""


FormEvent = FileBegins | bytes | FileEnds


class UploadForm:
    """Reads one form: `feed` it the body, then `finish`. `fields` fills up on the way."""

    def __init__(self, content_type: str, size: int | None = None) -> None:
        """Take the request's Content-Type and length. Raises Invalid when it announces no form."""
        self.size = size
        kind, options = parse_options_header(content_type)
        boundary = options.get("boundary", "")
        if kind != "multipart/form-data" or not 0 < len(boundary) <= _MOST_BOUNDARY:
            raise Invalid("Send a form (multipart/form-data) with the parts `dest` and `file`.")
        self._parser = _parser(boundary)
        self.fields: dict[str, bytes] = {}
        self._name = ""
        self._value = bytearray()
        self._has_file = False

    def feed(self, data: bytes) -> Iterator[FormEvent]:
        """Take the next bytes of the body; gives what is known by then. Raises Invalid."""
        try:
            for event in self._parser.parse(data):
                if event is None:
                    yield from self._end_part()
                elif isinstance(event, (bytes, bytearray)):
                    if self._name == FILE:
                        yield bytes(event)
                    else:
                        self._add(event)
                else:
                    yield from self._begin_part(event.name or "", event.filename)
        except MultipartError as error:
            raise Invalid(f"The form is broken: {error}.") from error

    def finish(self) -> None:
        """Look at what came once the body has ended. Raises Invalid when something is missing."""
        try:
            self._parser.close()
        except MultipartError as error:
            raise Invalid(f"The form is not whole: {error}.") from error
        if not self._has_file:
            raise Invalid("The form has no part `file`.", field=FILE)
        if not self.fields.get("dest"):
            raise Invalid("The form has no part `dest`: the path on the host.", field="dest")

    @property
    def dest(self) -> bytes | None:
        """The path on the host, when it has come."""
        return self.fields.get("dest") or None

    @property
    def extracts(self) -> bool:
        """Whether the file is an archive to be unpacked. Raises Invalid for a kind nobody knows."""
        wanted = self.fields.get("extract", b"")
        if wanted not in {b"", TAR_GZ.encode()}:
            raise Invalid(f"`extract` may be {TAR_GZ} and nothing else.", field="extract")
        return bool(wanted)

    def placing(self) -> Placing:
        """Return how the file takes its place, by the fields that have come. Raises Invalid."""
        mode = self.fields.get("mode", b"")
        if mode and (not mode.isdigit() or len(mode) > _MOST_MODE_DIGITS or set(mode) - set(b"01234567")):
            raise Invalid("`mode` is octal, such as 0644.", field="mode")
        bits = int(mode, 8) if mode else None
        if bits is not None and bits > _MOST_MODE:
            raise Invalid("`mode` is at most 0777: special bits are not set by an upload.", field="mode")
        overwrite = _TRUTHS.get(self.fields.get("overwrite", b"true").lower())
        if overwrite is None:
            raise Invalid("`overwrite` is true or false.", field="overwrite")
        try:
            owner = self.fields.get("owner", b"").decode()
        except UnicodeDecodeError:
            raise Invalid("`owner` is a user, user:group or :group.", field="owner") from None
        return Placing(mode=bits, owner=owner, overwrite=overwrite)

    def _begin_part(self, name: str, filename: str | None) -> Iterator[FormEvent]:
        self._name = name
        self._value.clear()
        if name == FILE:
            if self._has_file:
                raise Invalid("The form has more than one `file`: upload one at a time.", field=FILE)
            self._has_file = True
            # Some senders give a whole path: nobody else's folders matter here.
            base = _bytes(filename or "").replace(b"\\", b"/").rpartition(b"/")[2]
            yield FileBegins(base)
        elif name not in FIELDS:
            near = nearest(name, (*FIELDS, FILE))
            advice = f"did you mean `{near}`?" if near else f"known are {', '.join(FIELDS)} and {FILE}."
            raise Invalid(f"The form has an unknown part {name[:100]!r}: {advice}", field=name[:100])
        elif name in self.fields:
            raise Invalid(f"The form has `{name}` twice.", field=name)

    def _add(self, data: bytes | bytearray) -> None:
        self._value += data
        if len(self._value) > _MOST_OF_A_FIELD:
            raise Invalid(f"The part `{self._name}` is too long.", field=self._name)

    def _end_part(self) -> Iterator[FormEvent]:
        if self._name == FILE:
            yield FileEnds()
        else:
            self.fields[self._name] = bytes(self._value)


def _parser(boundary: str) -> PushMultipartParser:
    """Return a parser with our bounds. Headers are bytes to us: Latin-1 has a letter for each."""
    return PushMultipartParser(
        boundary,
        max_header_size=_MOST_OF_A_FIELD,
        max_header_count=8,
        max_segment_count=_MOST_PARTS,
        header_charset="latin1",
    )


def _bytes(header: str) -> bytes:
    return header.encode("latin1", errors="replace")
