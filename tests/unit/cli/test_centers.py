"""The file of saved centers."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.cli import centers
from outrider.cli.centers import Centers, SavedCenter
from outrider.domain.errors import Invalid, NotFound, Unauthenticated

texts = st.text(st.characters(codec="utf-8"), max_size=40)
names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)
saved_centers = st.builds(
    SavedCenter, url=texts, username=texts, token=texts, authority=texts, allow_plain=st.booleans()
)
books = st.builds(Centers, current=texts, centers=st.dictionaries(names, saved_centers, max_size=4))


@given(books)
def test_the_file_reads_back_as_it_was_written(book: Centers) -> None:
    """Whatever a name, a token or a certificate holds, it is TOML and says the same."""
    parsed = tomllib.loads(centers.format_toml(book))
    assert parsed["current"] == book.current
    for name, saved in book.centers.items():
        assert parsed["centers"][name].get("token", "") == saved.token
        assert parsed["centers"][name].get("authority", "") == saved.authority
        assert parsed["centers"][name].get("allow_plain", False) is saved.allow_plain


def test_it_is_readable_by_its_owner_alone(tmp_path: Path) -> None:
    """The file holds tokens: mode 0600, in a folder made 0700."""
    path = tmp_path / "config" / "outrider" / "centers.toml"
    book = Centers().with_center("lab", SavedCenter(url="http://127.0.0.1:1", token="t"))
    centers.save(path, book)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert centers.load(path) == book


def test_no_file_is_no_centers(tmp_path: Path) -> None:
    """The first start has nothing to read."""
    assert centers.load(tmp_path / "centers.toml") == Centers()


@pytest.mark.parametrize(
    "text", ["[centers", "current = 7", "centers = 1", '[centers.x]\nurl = "a"\ntoken = 1']
)
def test_a_broken_file_is_named(tmp_path: Path, text: str) -> None:
    """The error says which file to mend; nothing is overwritten in silence."""
    path = tmp_path / "centers.toml"
    path.write_text(text)
    with pytest.raises(Invalid, match=r"centers\.toml"):
        centers.load(path)


def test_a_folder_that_can_not_be_written_is_named(tmp_path: Path) -> None:
    """The error says which file could not be written."""
    (tmp_path / "outrider").write_text("a file where the folder should be")
    with pytest.raises(Invalid, match=r"centers\.toml"):
        centers.save(tmp_path / "outrider" / "centers.toml", Centers())


def test_the_current_center_is_the_one_signed_in_to_last() -> None:
    """Without a name the current one is meant; a name wins."""
    book = Centers().with_center("a", SavedCenter(url="u1")).with_center("b", SavedCenter(url="u2"))
    assert book.find(None)[0] == "b"
    assert book.find("a")[1].url == "u1"


def test_an_unknown_name_gets_the_nearest_one() -> None:
    """A slip of the finger is answered with the name that was meant."""
    book = Centers().with_center("production", SavedCenter(url="u"))
    with pytest.raises(NotFound, match="production"):
        book.find("prodution")
    with pytest.raises(Unauthenticated, match="outrider login"):
        Centers().find(None)


@pytest.mark.parametrize("name", ["", "-x", "a b", "a/b", "a\n", "\u00fc", "x" * 65])
def test_a_name_that_can_not_be_typed_is_refused(name: str) -> None:
    """Names of centers are plain words."""
    with pytest.raises(Invalid):
        centers.check_name(name)


@pytest.mark.parametrize(
    ("environ", "path"),
    [
        ({"XDG_CONFIG_HOME": "/srv/config"}, Path("/srv/config/outrider/centers.toml")),
        ({"XDG_CONFIG_HOME": "relative"}, Path.home() / ".config/outrider/centers.toml"),
        ({}, Path.home() / ".config/outrider/centers.toml"),
    ],
)
def test_the_file_is_where_the_base_directories_say(environ: dict[str, str], path: Path) -> None:
    """XDG_CONFIG_HOME counts when it is absolute, as its specification says."""
    assert centers.default_path(environ) == path
