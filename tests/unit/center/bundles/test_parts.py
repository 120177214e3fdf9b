"""Which files go into a bundle."""

from pathlib import Path

import pytest

from outrider.center.bundles.errors import InstallationUnfit
from outrider.center.bundles.parts import belongs, belongs_to_agent, checked, read_record
from tests.fixtures.bundles import part

ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("aiohttp/client.py", True),
        ("aiohttp/_http_parser.cpython-311-x86_64-linux-gnu.so", True),
        ("_cffi_backend.cpython-311-x86_64-linux-gnu.so", True),
        ("cryptography/py.typed", True),
        ("pycparser/_c_ast.cfg", True),
        ("yarl-1.2.dist-info/METADATA", True),
        ("yarl-1.2.dist-info/licenses/LICENSE", True),
        ("yarl-1.2.dist-info/licenses/vendor/x/NOTICE", True),
        ("psutil-7.dist-info/LICENSE", True),
        ("psutil-7.dist-info/COPYING.txt", True),
        ("psutil-7.dist-info/RECORD", False),
        ("psutil-7.dist-info/WHEEL", False),
        ("psutil-7.dist-info/direct_url.json", False),
        ("psutil-7.dist-info/sboms/a.json", False),
        ("aiohttp/__pycache__/client.cpython-311.pyc", False),
        ("aiohttp/_http_parser.pyx", False),
        ("aiohttp/client.pyi", False),
        ("aiohttp/_cparser.h", False),
        ("distutils-precedence.pth", False),
        ("../../../bin/outrider", False),
        ("x/../../y.py", False),
        ("/etc/passwd", False),
        ("", False),
    ],
)
def test_what_an_agent_reads_goes_along(path: str, wanted: bool) -> None:  # noqa: FBT001 - a case
    """Code, data, licences; no programs, caches, or what only compilers and installers read."""
    assert belongs(path) is wanted


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("outrider/__init__.py", True),
        ("outrider/py.typed", True),
        ("outrider/agent/app.py", True),
        ("outrider/cli/entry.py", True),
        ("outrider/center/app.py", False),
        ("outrider/center/bundles/agent_pins.txt", False),
        ("outrider/testing/clock.py", False),
        ("outrider/agent/__pycache__/app.cpython-311.pyc", False),
        ("outrider/agent/.app.py.swp", False),
        ("outrider/agent/app.py~", False),
        ("outrider-0.1.0.dist-info/METADATA", True),
        ("outrider-0.1.0.dist-info/licenses/LICENSE", True),
        ("outrider-0.1.0.dist-info/RECORD", False),
        ("_outrider.pth", False),
        ("../../../bin/outrider", False),
        ("", False),
    ],
)
def test_a_host_gets_no_center(path: str, wanted: bool) -> None:  # noqa: FBT001 - a case
    """All of this package but the rooms that only a center or a test has."""
    assert belongs_to_agent(path) is wanted


def test_nothing_of_the_agents_rooms_is_forgotten() -> None:
    """Every file that belongs to the source of the program goes along, or is of the two rooms left out."""
    source = ROOT / "src"
    names = [
        file.relative_to(source).as_posix()
        for file in (source / "outrider").rglob("*")
        if file.is_file() and file.suffix != ".pyc"
    ]
    assert len(names) > 300
    left_out = [name for name in names if not belongs_to_agent(name)]
    assert {"/".join(name.split("/")[:2]) for name in left_out} == {"outrider/center", "outrider/testing"}


def test_a_record_is_read_as_installers_write_it() -> None:
    """Quoted names, files without a digest, lists with other ends of lines."""
    text = '"a,b.py",sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0\r\nx.dist-info/RECORD,,\n\n'
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert [(each.path, each.sha256, each.size) for each in read_record(text, "x")] == [
        ("a,b.py", empty, 0),
        ("x.dist-info/RECORD", None, None),
    ]


@pytest.mark.parametrize("digest", ["md5=abc", "sha256=", "sha256=$$$", "nonsense"])
def test_a_digest_that_proves_nothing_is_refused(digest: str) -> None:
    """The error names the file and what to do."""
    with pytest.raises(InstallationUnfit, match=r"a\.py of aiohttp.*pip"):
        list(read_record(f"a.py,{digest},1\n", "aiohttp"))


def test_one_file_of_two_packages_is_one_file() -> None:
    """When both bring the same; else nobody knows which is meant."""
    same = [part("b.py", b"1"), part("a.py", b"2"), part("b.py", b"1")]
    assert [each.name for each in checked(same)] == ["a.py", "b.py"]
    with pytest.raises(InstallationUnfit, match=r"b\.py"):
        checked([*same, part("b.py", b"other")])
