"""The words of bundles."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.domain.bundles import (
    FORMAT,
    BadBundle,
    BadTarget,
    BundleTarget,
    Manifest,
    check_digest,
    parse_file_name,
)

pythons = st.integers(11, 99).map(lambda minor: f"3.{minor}")
platforms = st.builds(
    lambda machine, musl: f"linux-{machine}{musl}",
    st.sampled_from(["x86_64", "aarch64", "armv7l", "ppc64le", "s390x", "riscv64", "i686"]),
    st.sampled_from(["", "-musl"]),
)
targets = st.builds(BundleTarget, pythons, platforms)
manifests = st.builds(
    Manifest,
    format=st.just(FORMAT),
    version=st.from_regex(
        r"[0-9]\.[0-9]{1,2}(\.[0-9])?((a|b|rc)[0-9]|\.dev[0-9]|\+[a-z]{1,9})?", fullmatch=True
    ),
    build=st.from_regex(r"[0-9a-f]{12}", fullmatch=True),
    python=pythons,
    platform=platforms,
    protocol=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    packages=st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
    unpacked=st.integers(0, 2**40),
    glibc=st.sampled_from(["", "2.17", "2.34"]),
)


@given(targets)
def test_a_target_is_read_as_it_was_written(target: BundleTarget) -> None:
    """Its two words, its tag, its C library."""
    assert BundleTarget.parse(target.python, target.platform) == target
    assert target.abi == "cp3" + target.python[2:]
    assert target.is_musl == target.platform.endswith("-musl")
    assert "linux" not in target.machine
    assert "musl" not in target.machine


@pytest.mark.parametrize(
    ("python", "platform", "field"),
    [
        ("3.10", "linux-x86_64", "python"),
        ("2.7", "linux-x86_64", "python"),
        ("3.11.2", "linux-x86_64", "python"),
        ("3.100", "linux-x86_64", "python"),
        ("", "linux-x86_64", "python"),
        ("3.11\n", "linux-x86_64", "python"),
        ("3.11", "win32", "platform"),
        ("3.11", "linux", "platform"),
        ("3.11", "linux-../x", "platform"),
        ("3.11", "linux-x86_64-musl-musl", "platform"),
        ("3.11", "linux-x86_64\n", "platform"),
        ("3.11", "Linux-x86_64", "platform"),
    ],
)
def test_what_no_agent_runs_on_is_refused(python: str, platform: str, field: str) -> None:
    """The error says which of the two it is, and what they look like."""
    with pytest.raises(BadTarget) as refused:
        BundleTarget.parse(python, platform)
    assert refused.value.fields["field"] == field


@given(manifests)
def test_a_manifest_is_read_as_it_was_written(manifest: Manifest) -> None:
    """And the name of its archive tells which one it is."""
    assert Manifest.decode(manifest.encode()) == manifest
    assert manifest.encode() == Manifest.decode(manifest.encode()).encode()
    assert parse_file_name(manifest.file_name) == (manifest.version, manifest.build, manifest.target)
    assert manifest.folder in manifest.file_name


@given(manifests, st.integers().filter(lambda number: number != FORMAT))
def test_another_format_is_told_apart(manifest: Manifest, number: int) -> None:
    """Also where nothing else of it can be read: the error says which release reads which."""
    said = msgspec.json.encode({"format": number, "of_tomorrow": True})
    with pytest.raises(BadBundle, match="format"):
        Manifest.decode(said)
    with pytest.raises(BadBundle, match=str(FORMAT)):
        Manifest.decode(msgspec.json.encode(msgspec.structs.replace(manifest, format=number)))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_manifest_or_refused(data: bytes) -> None:
    """With the one error, whatever they are."""
    with pytest.raises(BadBundle):
        Manifest.decode(data)


@given(manifests, st.sampled_from(["version", "build"]), st.text(alphabet="/.\n -x", min_size=1))
def test_names_that_lead_elsewhere_are_refused(manifest: Manifest, field: str, text: str) -> None:
    """Version and build become the name of a folder on a host."""
    changed = msgspec.structs.replace(manifest, **{field: f"../{text}"})
    with pytest.raises(BadBundle):
        Manifest.decode(changed.encode())


@given(manifests)
def test_what_is_for_nobody_is_refused(manifest: Manifest) -> None:
    """A Python or platform that can't be."""
    with pytest.raises(BadTarget):
        Manifest.decode(msgspec.structs.replace(manifest, platform="win32").encode())


@pytest.mark.parametrize("name", ["x.tar.gz", "outrider-agent-1-0-cp311-linux-x86_64.tar.gz", "", "a/b"])
def test_other_files_have_other_names(name: str) -> None:
    """What is not called like a bundle is none."""
    with pytest.raises(BadBundle):
        parse_file_name(name)


@pytest.mark.parametrize("text", ["", "0" * 63, "0" * 65, "g" * 64, "A" * 64, "0" * 63 + "\n"])
def test_a_digest_has_one_shape(text: str) -> None:
    """64 hexadecimal digits."""
    assert check_digest("0af" + "9" * 61) == "0af" + "9" * 61
    with pytest.raises(BadBundle):
        check_digest(text)
