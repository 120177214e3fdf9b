"""Bundles made of what is installed: small installations with real lists of files."""

import os
import shutil
from pathlib import Path

import pytest

from outrider import __version__
from outrider.center.bundles.errors import InstallationUnfit
from outrider.center.bundles.installed import Content, Installation, target_here
from outrider.domain.bundles import BundleTarget, python_here
from tests.fixtures.bundles import Site, archive


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A folder of packages."""
    return Site(tmp_path / "site")


def installation(site: Site, source: Path | None = None) -> Installation:
    """What is installed there."""
    return Installation([str(site.folder)], source)


def names(of: Content) -> set[str]:
    """The files of a bundle."""
    return {part.name for part in of.parts}


def test_the_agent_and_all_it_needs(site: Site) -> None:
    """What it asks for, what that asks for, and nothing that it does not."""
    site.install_agent(requires=["aio-http>=3", "nothing ; extra == 'center'", "old ; python_version < '3'"])
    site.install("aio_http", "3.1", {"aio_http/__init__.py": b""}, requires=["Frozen.List"])
    site.install("frozen-list", "1.0", {"frozen_list.py": b"", "frozen_list.pyi": b""})
    site.install("unasked", "1.0", {"unasked.py": b""})
    content = installation(site).content()
    assert content.manifest.packages == {
        "outrider": __version__,
        "aio-http": "3.1",
        "frozen-list": "1.0",
    }
    assert content.manifest.target == target_here() == BundleTarget(python_here(), content.manifest.platform)
    found = names(content)
    assert {"__main__.py", "outrider/agent/__init__.py", "aio_http/__init__.py", "frozen_list.py"} <= found
    assert "aio_http-3.1.dist-info/METADATA" in found
    assert not any("center" in name or "testing" in name or "unasked" in name for name in found)
    assert content.manifest.unpacked == sum(part.size for part in content.parts)
    archive(content)


def test_extras_that_packages_ask_for(site: Site) -> None:
    """A package that wants another with an extra gets what belongs to the extra; in a circle, too."""
    site.install_agent(requires=["a[fast]"])
    site.install("a", "1", {"a.py": b""}, requires=["b ; extra == 'fast'", "c ; extra == 'slow'"])
    site.install("b", "1", {"b.py": b""}, requires=["a[slow]"])
    site.install("c", "1", {"c.py": b""}, requires=["a"])
    assert {"a.py", "b.py", "c.py"} <= names(installation(site).content())


def test_the_oldest_glibc_is_told(site: Site) -> None:
    """The newest that one of the wheels asks for; a wheel for several takes the oldest of them."""
    site.install_agent(requires=["a", "b", "c"])
    site.install(
        "a", "1", {}, tags=["cp311-cp311-manylinux_2_17_x86_64", "cp311-cp311-manylinux_2_28_x86_64"]
    )
    site.install("b", "1", {}, tags=["cp311-cp311-manylinux2010_x86_64.manylinux_2_24_x86_64"])
    site.install("c", "1", {})
    assert installation(site).content().manifest.glibc == "2.17"


def test_what_was_built_here_runs_on_a_glibc_like_ours(site: Site) -> None:
    """A wheel without a promise is believed to run here."""
    site.install_agent(requires=["a"])
    site.install("a", "1", {}, tags=["cp311-cp311-linux_x86_64"])
    found = installation(site).content().manifest.glibc
    assert found == os.confstr("CS_GNU_LIBC_VERSION").removeprefix("glibc ")  # type: ignore[union-attr]  # it is glibc


def test_what_is_needed_must_be_there(site: Site) -> None:
    """The error names it."""
    site.install_agent(requires=["a"])
    with pytest.raises(InstallationUnfit, match="a is needed"):
        installation(site).content()


def test_without_a_list_of_files_nothing_can_be_held_to_it(site: Site) -> None:
    """A package of the distribution, say: the error names it and the way out."""
    site.install_agent(requires=["a"])
    site.install("a", "1", {"a.py": b""}, record=False)
    with pytest.raises(InstallationUnfit, match=r"a was not installed by pip.*import"):
        installation(site).content()
    empty = Site(site.folder.with_name("empty"))
    with pytest.raises(InstallationUnfit, match="not installed with pip"):
        installation(empty).content()


def test_a_requirement_that_is_none(site: Site) -> None:
    """Of a package that was made badly."""
    site.install_agent(requires=["!!"])
    with pytest.raises(InstallationUnfit, match="no requirement"):
        installation(site).content()


def test_a_file_that_was_changed_since_it_was_installed(site: Site) -> None:
    """No bundle is made of it."""
    site.install_agent(requires=["a"])
    site.install("a", "1", {"a.py": b"good"})
    (site.folder / "a.py").write_bytes(b"evil")
    with pytest.raises(InstallationUnfit, match=r"a\.py"):
        archive(installation(site).content())


def editable(site: Site, source: Path) -> Installation:
    """Install the agent to be edited, in `source`."""
    site.install_agent(requires=["a"])
    site.install("a", "1", {"a.py": b""})
    source.mkdir()
    shutil.move(site.folder / "outrider", source / "outrider")
    shutil.rmtree(site.folder / f"outrider-{__version__}.dist-info")
    site.install("outrider", __version__, {"_outrider.pth": b"x"}, requires=["a"])
    return installation(site, source / "outrider")


def test_source_that_is_edited_is_taken_as_it_is(site: Site, tmp_path: Path) -> None:
    """It has no list; the same files go along as of one that was installed for good."""
    site.install_agent(requires=["a"])
    site.install("a", "1", {"a.py": b""})
    ordinary = installation(site).content()
    shutil.rmtree(site.folder)
    edited = editable(Site(site.folder), tmp_path / "src")
    cache = tmp_path / "src" / "outrider" / "agent" / "__pycache__"
    cache.mkdir()
    (cache / "x.py").touch()
    (tmp_path / "src" / "outrider" / "agent" / "notes.txt").touch()
    found = edited.content()
    code = {name for name in names(found) if ".dist-info/" not in name}
    assert code == {name for name in names(ordinary) if ".dist-info/" not in name}
    archive(found)
    (tmp_path / "src" / "outrider" / "agent" / "more.py").write_text("x = 1\n")
    again = edited.content()
    assert "outrider/agent/more.py" in names(again)
    assert again.manifest.build != found.manifest.build


def test_source_of_another_release_than_runs(site: Site, tmp_path: Path) -> None:
    """A center that was updated beneath its own feet has to be restarted first."""
    edited = editable(site, tmp_path / "src")
    (tmp_path / "src" / "outrider" / "__init__.py").write_text('__version__ = "99.0"\n')
    with pytest.raises(InstallationUnfit, match=r"99\.0.*restart"):
        edited.content()
    (tmp_path / "src" / "outrider" / "__init__.py").write_text("")
    with pytest.raises(InstallationUnfit, match="state its version"):
        edited.content()


def test_an_installation_of_another_release_than_runs(site: Site) -> None:
    """Likewise."""
    site.install_agent(version="99.0")
    with pytest.raises(InstallationUnfit, match="restart"):
        installation(site).content()


def test_a_change_of_the_installation_is_noticed(site: Site) -> None:
    """An update of a package, also one that the agent needs through another; the same again is no change."""
    site.install_agent(requires=["a"])
    site.install("a", "1", {"a.py": b"1"}, requires=["b"])
    site.install("b", "1", {"b.py": b"1"})
    first = installation(site).fingerprint()
    site.install("b", "1", {"b.py": b"1"})
    assert installation(site).fingerprint() == first
    site.install("b", "1", {"b.py": b"2"})
    second = installation(site).fingerprint()
    assert second != first
    site.install("unasked", "1", {"c.py": b"2"})
    assert installation(site).fingerprint() == second


def test_a_change_of_edited_source_is_noticed(site: Site, tmp_path: Path) -> None:
    """A file that is changed, added or removed."""
    edited = editable(site, tmp_path / "src")
    seen = [edited.fingerprint()]
    module = tmp_path / "src" / "outrider" / "agent" / "new.py"
    for text in ("x = 1\n", "x = 22\n", None):
        if text is None:
            module.unlink()
        else:
            module.write_text(text)
        seen.append(edited.fingerprint())
    assert seen[3] == seen[0]
    assert len(set(seen)) == 3


def test_what_this_very_tree_is_installed_with() -> None:
    """The center of a developer makes bundles too: everything the lock names for here is in it."""
    content = Installation().content()
    assert {"aiohttp", "cryptography", "msgspec", "outrider", "rich"} <= content.manifest.packages.keys()
    assert "sqlalchemy" not in content.manifest.packages
    assert {"outrider/agent/app.py", "outrider/bootstrap/__init__.py"} <= names(content)
