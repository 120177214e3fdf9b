"""What keeps a bare host from joining is named with its step, and leaves not a file and no process behind."""

import json
from collections.abc import Mapping
from typing import Final

import trustme

from outrider.bootstrap.program import program
from outrider.center.joining.lines import install_lines
from outrider.center.joining.outward import Outward
from outrider.center.joining.script import InstallSettings, install_script
from tests.acceptance.install_lines import installing, new_key, new_line, with_words
from tests.fixtures.api import Api
from tests.fixtures.bare_host import BareHost, Ended
from tests.fixtures.center import RunningCenter

_TOO_OLD: Final = """
import sys
sys.version_info = (3, 9, 2, "final", 0)
sys.version = "3.9.2 (default)"
"""


async def _script(api: Api, center: RunningCenter, key: str) -> bytes:
    """The install script as a host gets it that reaches the center over TLS."""
    authority = (await api.ask("GET", "/api/ca", role=None)).body.decode()
    settings = InstallSettings(center_url=center.tls_url, ca_pem=authority, enrolment_key=key)
    return install_script(program(), settings)


def _failed_at(ended: Ended, step: str, *words: str) -> None:
    assert ended.code == 1, ended.said
    assert f"FAILED at {step}: " in ended.said
    for word in words:
        assert word in ended.said


async def _nothing_is_left(host: BareHost, before: Mapping[str, object]) -> None:
    assert host.processes() == []
    assert await host.tree() == before


async def test_python_is_missing_or_lacks_parts_or_is_too_old(bare_api: Api, bare_host: BareHost) -> None:
    """The host is told what to install; both lines fail with an exit code, not only with words."""
    line = await new_line(bare_api)
    await bare_host.remove_packages("libpython3.11-stdlib", "libpython3-stdlib", "python3.11", "python3")
    before = await bare_host.tree()
    ended = await bare_host.run("sh", "-c", line)
    _failed_at(ended, "preflight", "it lacks asyncio", "sqlite3", "apt-get install python3")
    ended = await bare_host.run("sh", "-c", await new_line(bare_api, "python"))
    _failed_at(ended, "preflight", "it lacks asyncio")
    ended = await bare_host.run("sh", "-c", with_words(line, "--json"))
    assert json.loads(ended.stdout.splitlines()[-1])["step"] == "preflight"
    await _nothing_is_left(bare_host, before)
    await bare_host.sh("cat > /usr/lib/python3.11/sitecustomize.py", stdin=_TOO_OLD)
    await bare_host.sh("python3 -c pass")
    before = await bare_host.tree()
    ended = await bare_host.run("sh", "-c", line)
    _failed_at(ended, "preflight", "Python 3.11 or newer is needed, and here is Python 3.")
    await _nothing_is_left(bare_host, before)
    await bare_host.remove_packages("libpython3.11-minimal", "python3.11-minimal", "python3-minimal")
    await bare_host.sh("rm -rf /usr/bin/python3* /usr/lib/python3*")
    before = await bare_host.tree()
    ended = await bare_host.run("sh", "-c", line)
    _failed_at(ended, "preflight", "here is no python3", "apt-get install python3")
    await _nothing_is_left(bare_host, before)


async def test_who_is_not_root_is_told_how(bare_api: Api, bare_host: BareHost) -> None:
    """Nothing is tried that could not be ended."""
    before = await bare_host.tree()
    nobody = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups")
    ended = await bare_host.run(*nobody, "sh", "-c", await new_line(bare_api))
    _failed_at(ended, "preflight", "run this as root", "sudo sh")
    await _nothing_is_left(bare_host, before)


async def test_a_disk_is_too_small(bare_api: Api, bare_host: BareHost) -> None:
    """It is told before anything is fetched; one that fills up on the way is swept clean again."""
    await bare_host.limit_disk("/opt", "16m")
    before = await bare_host.tree()
    ended = await bare_host.run("sh", "-c", await new_line(bare_api))
    _failed_at(ended, "preflight", "the disk of /opt/outrider is too full", "MB are needed")
    await _nothing_is_left(bare_host, before)
    # As many bytes as one likes, and room for few files: that shows only on the way.
    await bare_host.limit_disk("/opt", "300m,nr_inodes=200")
    before = await bare_host.tree()
    ended = await bare_host.run("sh", "-c", await new_line(bare_api))
    _failed_at(ended, "unpack", "No space left on device")
    await _nothing_is_left(bare_host, before)


async def test_the_center_is_not_reached(
    bare_api: Api, bare_center: RunningCenter, bare_host: BareHost
) -> None:
    """No route back: the address is named, and what to look at."""
    made = await new_key(bare_api)
    script = await _script(bare_api, bare_center, made["key"])
    await bare_host.unplug()
    before = await bare_host.tree()
    ended = await bare_host.run("sh", stdin=script)
    _failed_at(ended, "preflight", bare_center.tls_url, "can't be reached", "route")
    ended = await bare_host.run("sh", "-c", made["install"]["python"])
    assert ended.code != 0
    await _nothing_is_left(bare_host, before)


async def test_another_center_answers(bare_api: Api, bare_center: RunningCenter, bare_host: BareHost) -> None:
    """Neither line runs what comes from it, and the installer itself tells it nothing: not even the key."""
    other = trustme.CA().cert_pem.bytes()
    key = (await new_key(bare_api))["key"]
    before = await bare_host.tree()
    forged = install_lines(Outward(bare_center.tls_url, other), key)
    for line in (forged.curl, forged.python):
        ended = await bare_host.run("sh", "-c", str(line))
        assert ended.code != 0
        assert "certificate" in ended.stderr.lower()
    settings = InstallSettings(center_url=bare_center.tls_url, enrolment_key=key, ca_pem=other.decode())
    ended = await bare_host.run("sh", stdin=install_script(program(), settings))
    _failed_at(ended, "preflight", "a certificate that this host does not trust")
    await _nothing_is_left(bare_host, before)


async def test_a_key_has_died(bare_api: Api, bare_center: RunningCenter, bare_host: BareHost) -> None:
    """A line with a dead key fetches nothing; a script that was kept until its key died says which it is."""
    made = await new_key(bare_api)
    script = await _script(bare_api, bare_center, made["key"])
    await bare_api.ask("DELETE", f"/api/enrolment-keys/{made['id']}")
    before = await bare_host.tree()
    ended = await bare_host.run("sh", stdin=script)
    _failed_at(ended, "preflight", "This enrolment key was revoked", "outrider keys new")
    for form, word in (("curl", "401"), ("python", "was revoked")):
        ended = await bare_host.run("sh", "-c", made["install"][form])
        assert ended.code != 0
        assert word in ended.stderr
    await _nothing_is_left(bare_host, before)


async def test_it_is_stopped_on_the_way(bare_api: Api, bare_host: BareHost) -> None:
    """SIGTERM undoes all; what SIGKILL leaves, an uninstall takes away, or the next install goes on with."""
    before = await bare_host.tree()
    line = await new_line(bare_api)
    told = with_words(line, "--json")
    for until in (("unpack", "begun"), ("online", "begun")):
        async with installing(bare_host, told, until) as number:
            await bare_host.sh(f"kill -TERM {number}")
        await _nothing_is_left(bare_host, before)
    line = await new_line(bare_api)
    told = with_words(line, "--json")
    async with installing(bare_host, told, ("unpack", "begun")) as number:
        await bare_host.sh(f"kill -KILL {number}")
    left = await bare_host.run("sh", "-c", with_words(line, "--uninstall"))
    assert left.code == 0, left.said
    await _nothing_is_left(bare_host, before)
    async with installing(bare_host, told, ("start", "begun")) as number:
        await bare_host.sh(f"kill -KILL {number}")
    await bare_host.sh(line)
    gone = await bare_host.run("sh", "-c", with_words(line, "--uninstall"))
    assert gone.code == 0, gone.said
    await _nothing_is_left(bare_host, before)
