"""Promises of outrider.center.files.form: a form comes out as it went in, however it is cut and ordered."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.center.files.form import FIELDS, FileBegins, FileEnds, UploadForm
from outrider.domain.errors import Invalid
from outrider.domain.files import Placing

_TYPE = "multipart/form-data; boundary=b0und"

Part = tuple[str, bytes]
cuts = st.lists(st.integers(1, 30), min_size=1, max_size=20)
# Among them what looks like the boundary, or a part of it.
_TRICKS = [b"\r\n", b"--", b"\r\n--b0un", b"--b0und", b"\r", b"\n", b"\0", b"x" * 70]
contents = (
    st.lists(st.sampled_from(_TRICKS) | st.binary(max_size=20), max_size=8)
    .map(b"".join)
    .filter(lambda content: b"\r\n--b0und" not in b"\r\n" + content)
)


def body_of(parts: Iterable[Part], *, name: bytes = b"own") -> bytes:
    """Return the form's body."""
    found = b""
    for field, content in parts:
        called = b'; filename="' + name + b'"' if field == "file" else b""
        head = b'--b0und\r\nContent-Disposition: form-data; name="' + field.encode() + b'"' + called
        found += head + b"\r\n\r\n" + content + b"\r\n"
    return found + b"--b0und--\r\n"


def read(body: bytes, sizes: list[int] | None = None) -> tuple[UploadForm, list[bytes], bytes]:
    """Feed a body in pieces of these sizes; return the form, the names of files, and the file's bytes."""
    form = UploadForm(_TYPE, len(body))
    names, content, position, turn = [], b"", 0, 0
    is_open = False
    while position < len(body):
        size = sizes[turn % len(sizes)] if sizes else len(body)
        for event in form.feed(body[position : position + size]):
            if isinstance(event, FileBegins):
                names.append(event.name)
                is_open = True
            elif isinstance(event, FileEnds):
                is_open = False
            else:
                assert is_open
                content += event
        position += size
        turn += 1
    form.finish()
    assert not is_open
    return form, names, content


@given(content=contents, sizes=cuts, order=st.permutations(["dest", "file", "mode", "overwrite", "owner"]))
def test_cut_anywhere_and_in_any_order(content: bytes, sizes: list[int], order: list[str]) -> None:
    """The file's bytes, its name and the other parts are the same."""
    values = {"dest": b"/srv/x", "file": content, "mode": b"0640", "overwrite": b"false", "owner": b"a:b"}
    form, names, found = read(body_of((name, values[name]) for name in order), sizes)
    assert found == content
    assert names == [b"own"]
    assert form.dest == b"/srv/x"
    assert form.placing() == Placing(mode=0o640, owner="a:b", overwrite=False)


@given(dest=st.binary(min_size=1, max_size=100).filter(lambda dest: b"\r" not in dest and b"\n" not in dest))
def test_a_destination_is_bytes(dest: bytes) -> None:
    """Paths need not be text."""
    assert read(body_of([("dest", dest), ("file", b"")]))[0].dest == dest


@given(body=st.binary(max_size=200), sizes=cuts)
def test_noise_is_refused(body: bytes, sizes: list[int]) -> None:
    """With a word, whatever comes: no other error."""
    with pytest.raises(Invalid):
        read(body, sizes)


@given(cut=st.integers(0, 200), sizes=cuts)
def test_a_form_that_breaks_off_is_refused(cut: int, sizes: list[int]) -> None:
    """At whatever byte before its end: nobody takes what has come for all."""
    body = body_of([("dest", b"/srv/x"), ("file", b"x" * 40)])
    whole = len(body) - len(b"\r\n")
    with pytest.raises(Invalid):
        read(body[: min(cut, whole - 1)], sizes)


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        (rb"C:\Users\me\report.pdf", b"report.pdf"),
        (b"../../etc/passwd", b"passwd"),
        (b"/etc/", b""),
        (b"..", b".."),
        (b"\xff\xfe", b"\xff\xfe"),
    ],
)
def test_a_name_comes_without_folders(sent: bytes, name: bytes) -> None:
    """Nobody else's folders matter here; `..` is refused where the name is needed."""
    assert read(body_of([("dest", b"/srv"), ("file", b"")], name=sent))[1] == [name]


@pytest.mark.parametrize(
    ("parts", "field"),
    [
        ([("dest", b"/x")], "file"),
        ([("file", b"")], "dest"),
        ([("dest", b""), ("file", b"")], "dest"),
        ([("dest", b"/x"), ("dest", b"/y"), ("file", b"")], "dest"),
        ([("dest", b"/x"), ("file", b"1"), ("file", b"2")], "file"),
        ([("dest", b"/x" * 5000), ("file", b"")], "dest"),
        ([("dest", b"/x"), ("modes", b"1"), ("file", b"")], "modes"),
        ([("dest", b"/x")] + [("mode", b"")] * 20, "mode"),
    ],
)
def test_parts_that_are_missing_or_too_many_are_named(parts: list[Part], field: str) -> None:
    """The error names the part."""
    with pytest.raises(Invalid) as refused:
        read(body_of(parts))
    assert refused.value.fields["field"] == field


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("mode", b"0999"),
        ("mode", b"7777"),
        ("mode", b"-1"),
        ("mode", b"rw"),
        ("mode", "\u0667\u0667".encode()),
        ("overwrite", b"maybe"),
        ("owner", b"\xff"),
        ("extract", b"zip"),
    ],
)
def test_values_that_mean_nothing_are_refused(field: str, value: bytes) -> None:
    """Each with the part that holds it."""
    form = read(body_of([("dest", b"/x"), (field, value), ("file", b"")]))[0]
    with pytest.raises(Invalid) as refused:
        _ = form.extracts, form.placing()
    assert refused.value.fields["field"] == field
    assert field in FIELDS


@pytest.mark.parametrize(
    "head",
    [
        b'Content-Disposition: form-data; name="file"\r\n' + b"X: y\r\n" * 20,
        b"X: " + b"y" * 100_000 + b"\r\n",
        b"no colon\r\n",
        b"Content-Type: text/plain\r\n",
        b"Content-Disposition: attachment; name=file\r\n",
        b'Content-Disposition: form-data; name="file"\nX: y\r\n',
    ],
)
def test_hostile_heads_of_parts_are_refused(head: bytes) -> None:
    """Too many, too long, none of ours: before the part's content is looked at."""
    body = b"--b0und\r\n" + head + b"\r\ncontent\r\n--b0und--\r\n"
    with pytest.raises(Invalid):
        read(body)
    with pytest.raises(Invalid):
        read(body, [7])


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/json",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=" + "x" * 201,
        "multipart/mixed; boundary=x",
        "multipart/form-data; boundary=\u00fc\r\n",
    ],
)
def test_what_is_no_form_is_refused(content_type: str) -> None:
    """By its Content-Type, before anything of it is read or when it is."""
    with pytest.raises(Invalid):
        _ = list(UploadForm(content_type).feed(b"x" * 500))


def test_nothing_is_kept_of_a_file() -> None:
    """What has come of it is given at once: only what may be a boundary is held back."""
    form = UploadForm(_TYPE)
    start = body_of([("dest", b"/x"), ("file", b"")])[: -len(b"\r\n--b0und--\r\n")]
    _ = list(form.feed(start))
    given_out = 0
    for _ in range(50):
        given_out += sum(len(event) for event in form.feed(b"y" * 100_000) if isinstance(event, bytes))
    assert given_out > 50 * 100_000 - 100
