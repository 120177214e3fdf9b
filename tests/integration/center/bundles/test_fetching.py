"""Bundles for other Pythons and platforms, with the real pip, of wheels in a folder of the test."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from outrider.center.bundles.errors import HashMismatch, InstallationUnfit, NoRegistry, NoWheel
from outrider.center.bundles.glibc import Glibc
from outrider.center.bundles.installed import Content, Installation
from outrider.center.bundles.pins import Pin
from outrider.center.bundles.registry import OLDEST_GLIBC, Fetched, platform_tags
from outrider.center.bundles.wheels import Wheel, place_of
from outrider.domain.bundles import BundleTarget
from tests.fixtures.bundles import OTHER, Site, archive
from tests.fixtures.wheels import pin, wheel

MUSL = BundleTarget(OTHER.python, f"{OTHER.platform}-musl")


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """A small installation; pip knows of nowhere to look but where it is told."""
    for name in ("PIP_FIND_LINKS", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    site = Site(tmp_path / "site")
    site.install_agent()
    return Installation([str(site.folder)])


async def fetched(
    installation: Installation,
    pins: Sequence[Pin],
    *where: str,
    target: BundleTarget = OTHER,
    glibc: Glibc = OLDEST_GLIBC,
) -> tuple[Content, bytes, list[str]]:
    """Fetch and pack; returns what is in it, its bytes, and what was said meanwhile."""
    said: list[str] = []
    async with Fetched(target, pins, glibc=glibc, options=where, installation=installation) as wheels:
        content = await wheels.content(said.append)
        return content, archive(content), said


def local(folder: Path) -> tuple[str, str]:
    """Tell pip to look into a folder and nowhere else."""
    return "--no-index", f"--find-links={folder}"


async def test_locked_wheels_make_a_bundle(installation: Installation, tmp_path: Path) -> None:
    """Those for the host, not for here; the agent's own code comes from the installation."""
    links = tmp_path / "links"
    pure = wheel(links, "pure", "1.0", "py3-none-any", {"pure.py": b"x"})
    tag = f"{OTHER.abi}-{OTHER.abi}"
    natives = [
        wheel(
            links, "native_x", "2.1", f"{tag}-manylinux_2_17_aarch64.manylinux2014_aarch64", {"n.so": b"old"}
        ),
        wheel(links, "native_x", "2.1", f"{tag}-manylinux_2_34_aarch64", {"n.so": b"new"}),
        wheel(links, "native_x", "2.1", f"{tag}-manylinux_2_17_x86_64", {"n.so": b"here"}),
        wheel(links, "native_x", "2.1", "cp311-cp311-manylinux_2_17_aarch64", {"n.so": b"python"}),
    ]
    stable = wheel(links, "stable", "1", "cp39-abi3-manylinux_2_28_aarch64", {"s.so": b"abi3"})
    pins = [pin(*natives), pin(pure), pin(stable)]
    content, packed, said = await fetched(installation, pins, *local(links))
    parts = {part.name: part for part in content.parts}
    assert {"n.so", "pure.py", "s.so", "outrider/agent/__init__.py", "__main__.py"} <= parts.keys()
    assert content.manifest.packages.keys() == {"outrider", "native-x", "pure", "stable"}
    assert content.manifest.target == OTHER
    assert content.manifest.glibc == "2.28"
    assert [line.split(" ")[0] for line in said] == ["fetching"] * 3
    assert "(3 of 3)" in said[-1]
    again, same, _ = await fetched(installation, pins, *local(links))
    assert (again.manifest, same) == (content.manifest, packed)


async def test_the_oldest_wheel_that_fits_is_taken(installation: Installation, tmp_path: Path) -> None:
    """It runs on most hosts; a newer glibc has to be asked for."""
    links, tag = tmp_path / "links", f"{OTHER.abi}-{OTHER.abi}"
    older = wheel(links, "a", "1", f"{tag}-manylinux_2_17_aarch64", {"a.so": b"older"})
    newer = wheel(links, "a", "1", f"{tag}-manylinux_2_28_aarch64", {"a.so": b"newer"})
    content, _, _ = await fetched(installation, [pin(older, newer)], *local(links))
    assert content.manifest.glibc == "2.17"
    older.unlink()
    content, _, _ = await fetched(installation, [pin(newer)], *local(links))
    assert content.manifest.glibc == "2.28"
    with pytest.raises(NoWheel, match=r"wheel of a for Python 3\.12 on linux-aarch64.*glibc 2\.17.*--glibc"):
        await fetched(installation, [pin(newer)], *local(links), glibc=(2, 17))


async def test_hosts_with_musl_get_wheels_for_musl(installation: Installation, tmp_path: Path) -> None:
    """And no glibc is asked of them."""
    links, tag = tmp_path / "links", f"{OTHER.abi}-{OTHER.abi}"
    glibc = wheel(links, "a", "1", f"{tag}-manylinux_2_17_aarch64", {"a.so": b"glibc"})
    with pytest.raises(NoWheel, match="no wheel of a") as none:
        await fetched(installation, [pin(glibc)], *local(links), target=MUSL)
    assert none.value.fields["package"] == "a"
    assert "glibc" not in none.value.detail
    musl = wheel(links, "a", "1", f"{tag}-musllinux_1_2_aarch64", {"a.so": b"musl"})
    content, _, _ = await fetched(installation, [pin(glibc, musl)], *local(links), target=MUSL)
    assert content.manifest.glibc == ""


async def test_a_package_that_was_changed_makes_no_bundle(installation: Installation, tmp_path: Path) -> None:
    """Whoever changed it: pip holds every file to the lock, and so do we."""
    links = tmp_path / "links"
    good = pin(wheel(links, "a", "1", "py3-none-any", {"a.py": b"good"}))
    evil = wheel(links, "a", "1", "py3-none-any", {"a.py": b"evil"})
    with pytest.raises(HashMismatch, match="a is not what was locked") as changed:
        await fetched(installation, [good], *local(links))
    assert changed.value.fields["package"] == "a"
    with pytest.raises(HashMismatch, match="SHA-256"):
        Wheel(evil, good)


async def test_a_registry_that_is_away_is_told(
    installation: Installation, tmp_path: Path, unused_tcp_port: int
) -> None:
    """With what pip says of it, and where it looked is set."""
    made = pin(wheel(tmp_path / "links", "a", "1", "py3-none-any", {"a.py": b""}))
    with pytest.raises(NoRegistry, match=r"can't be reached.*PIP_INDEX_URL.*refused"):
        await fetched(installation, [made], f"--index-url=http://127.0.0.1:{unused_tcp_port}/simple")


async def test_what_pip_can_not_do_is_told_as_pip_says_it(installation: Installation, tmp_path: Path) -> None:
    """An option that it does not know, say."""
    made = pin(wheel(tmp_path / "links", "a", "1", "py3-none-any", {"a.py": b""}))
    with pytest.raises(NoRegistry, match="no such option: --nonsense"):
        await fetched(installation, [made], "--nonsense")


def test_a_file_that_is_no_wheel(tmp_path: Path) -> None:
    """Or one without a list of its files: it is named."""
    file = tmp_path / "a-1-py3-none-any.whl"
    file.write_bytes(b"nonsense")
    with pytest.raises(InstallationUnfit, match=r"a-1-py3-none-any\.whl is no wheel"):
        Wheel(file, pin(file))
    good = wheel(tmp_path, "b", "1", "py3-none-any", {})
    odd = good.rename(tmp_path / "b-odd.whl")
    opened = Wheel(odd, replace(pin(odd), name=pin(file).name))
    with pytest.raises(InstallationUnfit, match="is no wheel"):
        _ = opened.glibc
    opened.close()


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("a/b.py", "a/b.py"),
        ("a-1.data/purelib/a/b.py", "a/b.py"),
        ("a-1.data/platlib/a/b.so", "a/b.so"),
        ("a-1.data/scripts/a", None),
        ("a-1.data/data/share/man/a.1", None),
        ("a-1.data/headers/a.h", None),
        ("a/b.data/c.py", "a/b.data/c.py"),
    ],
)
def test_where_a_wheel_puts_its_files(path: str, place: str | None) -> None:
    """Libraries go below `site/`; programs and manuals nowhere."""
    assert place_of(path) == place


def test_which_wheels_run_where() -> None:
    """All that promise to run on that glibc, the most modest ones first."""
    tags = platform_tags(OTHER, (2, 19))
    assert tags == [
        "manylinux_2_17_aarch64",
        "manylinux_2_18_aarch64",
        "manylinux_2_19_aarch64",
        "manylinux2014_aarch64",
    ]
    assert platform_tags(MUSL, (2, 19)) == ["musllinux_1_1_aarch64", "musllinux_1_2_aarch64"]
