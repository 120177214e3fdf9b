"""Reading what package tools print: recorded lines of each, and whatever else may come."""

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.engines.commands.package_lists import (
    Package,
    apk_installed,
    apk_upgradable,
    apt_upgradable,
    dnf_upgradable,
    dpkg_installed,
    rpm_installed,
)

_words = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1)
_packages = st.lists(st.builds(Package, name=_words, version=_words, arch=_words))


def test_dpkg() -> None:
    """What is installed, also on hold; what was removed and left its settings is not."""
    text = "ii \tbash\t5.2.15-2+b9\tamd64\nrc \told\t1\tall\nhi \tkept\t1:2-3\tall\nun \tghost\t\t\n"
    assert dpkg_installed(text) == [
        Package(name="bash", version="5.2.15-2+b9", arch="amd64"),
        Package(name="kept", version="1:2-3", arch="all"),
    ]


def test_apt() -> None:
    """The newer version and the one there is; the heading and warnings are passed over."""
    text = (
        "Listing...\n"
        "libssl3/stable-security 3.0.17-1~deb12u3 amd64 [upgradable from: 3.0.15-1~deb12u1]\n"
        "base-files/stable,now 12.4+deb12u12 amd64 [upgradable from: 12.4+deb12u9]\n"
        "N: There are 2 additional versions.\n"
    )
    assert apt_upgradable(text) == [
        Package(name="libssl3", version="3.0.15-1~deb12u1", arch="amd64", available="3.0.17-1~deb12u3"),
        Package(name="base-files", version="12.4+deb12u9", arch="amd64", available="12.4+deb12u12"),
    ]


def test_rpm_and_dnf() -> None:
    """Epochs stay, keys go, folded lines are joined, and obsolete packages are no upgrades."""
    installed = rpm_installed(
        "openssl-libs\t1:3.0.7-16.el9\tx86_64\ngpg-pubkey\t8483c65d-5ccc5b19\t(none)\n"
        "java-17-openjdk-headless-with-a-long-name\t1:17.0.7-1.el9\tx86_64\n"
    )
    assert [each.name for each in installed] == ["openssl-libs", "java-17-openjdk-headless-with-a-long-name"]
    text = (
        "\nopenssl-libs.x86_64                    1:3.0.7-27.el9                  baseos\n"
        "java-17-openjdk-headless-with-a-long-name.x86_64\n"
        "                                       1:17.0.9-1.el9                  appstream\n"
        "new-thing.noarch                       2.0-1.el9                       epel\n"
        "Obsoleting Packages\n"
        "grub2-tools.x86_64                     1:2.06-70.el9                   baseos\n"
        "    grub2-tools.x86_64                 1:2.06-61.el9                   @baseos\n"
    )
    assert dnf_upgradable(text, installed) == [
        Package(name="openssl-libs", version="1:3.0.7-16.el9", arch="x86_64", available="1:3.0.7-27.el9"),
        Package(
            name="java-17-openjdk-headless-with-a-long-name",
            version="1:17.0.7-1.el9",
            arch="x86_64",
            available="1:17.0.9-1.el9",
        ),
        Package(name="new-thing", version="", arch="noarch", available="2.0-1.el9"),
    ]


def test_apk() -> None:
    """Names with dashes and digits are told from versions."""
    installed = (
        "WARNING: opening /var/cache: No such file\n"
        "musl-1.2.4-r2 x86_64 {musl} (MIT) [installed]\n"
        "py3-pip-pyc-23.1.2-r0 noarch {py3-pip} (MIT) [installed]\n"
        "so-1.0-lib-2.0_rc1-r3 x86_64 {so} (custom:a b) [installed]\n"
    )
    assert apk_installed(installed) == [
        Package(name="musl", version="1.2.4-r2", arch="x86_64"),
        Package(name="py3-pip-pyc", version="23.1.2-r0", arch="noarch"),
        Package(name="so-1.0-lib", version="2.0_rc1-r3", arch="x86_64"),
    ]
    text = "busybox-1.36.1-r6 x86_64 {busybox} (GPL-2.0-only) [upgradable from: busybox-1.36.1-r5]\n"
    assert apk_upgradable(text) == [
        Package(name="busybox", version="1.36.1-r5", arch="x86_64", available="1.36.1-r6")
    ]


@given(_packages)
def test_what_was_printed_is_read(packages: list[Package]) -> None:
    """Whatever names and versions are, in the formats that we ask for."""
    plain = [each for each in packages if each.name != "gpg-pubkey"]
    dpkg = "".join(f"ii \t{each.name}\t{each.version}\t{each.arch}\n" for each in plain)
    rpm = "".join(f"{each.name}\t{each.version}\t{each.arch}\n" for each in plain)
    apt = "".join(f"{p.name}/x {p.version} {p.arch} [upgradable from: {p.version}]\n" for p in plain)
    assert dpkg_installed(dpkg) == rpm_installed(rpm) == plain
    assert [each.name for each in apt_upgradable(apt)] == [each.name for each in plain]


@pytest.mark.parametrize(
    "read",
    [
        dpkg_installed,
        apt_upgradable,
        rpm_installed,
        apk_installed,
        apk_upgradable,
        lambda text: dnf_upgradable(text, ()),
    ],
)
@given(text=st.text() | st.text(alphabet="ai-.\t\n [1/:{}"))
def test_any_text_is_read(read: Callable[[str], Sequence[Package]], text: str) -> None:
    """Nothing that a tool prints breaks the reader, and no package is without a name."""
    assert all(each.name for each in read(text))
