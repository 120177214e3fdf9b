"""Which bundle a host is offered."""

import pytest

from outrider.center.bundles.choice import choose
from outrider.center.bundles.glibc import as_text, as_version, glibc_of, newest
from outrider.center.bundles.rows import BundleRow, Origin, row_of
from tests.fixtures.bundles import content


def bundle(
    version: str, created: float, *, glibc: str = "2.28", protocol: tuple[int, int] = (1, 1)
) -> BundleRow:
    """Make one that is kept."""
    manifest = content(
        {"v.py": str(created).encode()}, version=version, glibc=glibc, protocol=protocol
    ).manifest
    return row_of(
        manifest,
        digest="0" * 64,
        size=1,
        origin=Origin.REGISTRY,
        fingerprint=None,
        created=created,
        created_by="me",
    )


def chosen(*bundles: BundleRow, version: str | None = None, glibc: str = "") -> BundleRow | None:
    """Choose for a center of release 1.2."""
    return choose(bundles, version=version, glibc=glibc, own="1.2.0")


def test_nothing_to_choose_from() -> None:
    """None."""
    assert chosen() is None


def test_the_centers_own_release_goes_first() -> None:
    """An older one that was made later does not count for more; nor does a newer one."""
    own, older, newer = bundle("1.2", 1.0), bundle("1.1", 2.0), bundle("1.3", 3.0)
    assert chosen(older, own, newer) is own
    assert chosen(older, newer, bundle("0.9", 9.0)) is older
    assert chosen(newer, bundle("2.0", 1.0)) is not newer


def test_of_one_release_the_last_one_made() -> None:
    """A development center makes many of one release."""
    first, second = bundle("1.2", 1.0), bundle("1.2", 2.0)
    assert chosen(first, second) is second


def test_versions_are_compared_as_versions() -> None:
    """Not as texts: 0.10 is newer than 0.9, and a release is newer than its candidate."""
    assert chosen(bundle("0.9", 1.0), newer := bundle("0.10", 1.0)) is newer
    assert chosen(release := bundle("1.0", 1.0), bundle("1.0rc1", 2.0)) is release
    assert chosen(odd := bundle("1!x", 1.0)) is odd


def test_another_one_can_be_asked_for() -> None:
    """By its version, or by version and build."""
    first, second, other = bundle("1.2", 1.0), bundle("1.2", 2.0), bundle("1.1", 3.0)
    assert chosen(first, second, other, version="1.1") is other
    assert chosen(first, second, other, version="1.2") is second
    assert chosen(first, second, other, version=f"1.2-{first.build}") is first
    assert chosen(first, second, other, version="1.0") is None
    assert chosen(first, second, other, version=first.build) is None


def test_what_the_host_can_not_run_is_left_out() -> None:
    """It has an older glibc; a host that does not say, or says nonsense, is believed to be new enough."""
    old, new = bundle("1.2", 1.0, glibc="2.17"), bundle("1.2", 2.0, glibc="2.34")
    assert chosen(old, new, glibc="2.36") is new
    assert chosen(old, new, glibc="2.34") is new
    assert chosen(old, new, glibc="2.28") is old
    assert chosen(old, new, glibc="2.5") is None
    assert chosen(old, new, glibc="") is new
    assert chosen(old, new, glibc="nonsense") is new
    assert chosen(musl := bundle("1.2", 3.0, glibc=""), glibc="1.2") is musl


def test_what_the_center_could_not_talk_to_is_left_out() -> None:
    """An agent that speaks only another protocol would never come online."""
    assert chosen(bundle("1.2", 1.0, protocol=(7, 9))) is None
    assert chosen(fits := bundle("1.1", 1.0), bundle("1.2", 1.0, protocol=(7, 9))) is fits


@pytest.mark.parametrize(
    ("tag", "glibc"),
    [
        ("manylinux_2_28_x86_64", (2, 28)),
        ("manylinux_2_5_i686", (2, 5)),
        ("manylinux1_x86_64", (2, 5)),
        ("manylinux2010_x86_64", (2, 12)),
        ("manylinux2014_aarch64", (2, 17)),
        ("musllinux_1_2_x86_64", None),
        ("linux_x86_64", None),
        ("any", None),
        ("manylinux_x_y", None),
        ("", None),
    ],
)
def test_what_a_wheel_promises(tag: str, glibc: tuple[int, int] | None) -> None:
    """Its platform tag names the oldest glibc that it runs on."""
    assert glibc_of(tag) == glibc


def test_versions_of_glibc() -> None:
    """Read, compared, written."""
    assert as_version("2.36") == (2, 36)
    assert as_version(" 2.5 ") == (2, 5)
    assert [as_version(text) for text in ("", "2", "2.x", "2.3.4", "-1.2", "2." + "9" * 5000)] == [None] * 6
    assert newest(None, (2, 5), (2, 17), None) == (2, 17)
    assert newest(None) is None
    assert as_text((2, 17)) == "2.17"
    assert as_text(None) == ""
