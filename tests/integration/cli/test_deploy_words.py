"""`outrider deploy`, `deployments` and `host-keys`, as a process that talks to a center."""

import asyncio
import json
import signal
from pathlib import Path

from outrider.testing.api import FakeApi
from tests.fixtures.ssh_host import KEY
from tests.integration.cli.program import Program

FAILS = ("preflight", "sudo_denied", "The sudo password is wrong.", "Sorry, try again.")


def key_file(folder: Path) -> str:
    """Write the key, and return its path."""
    file = folder / "id_test"
    file.write_text(KEY)
    return str(file)


async def test_hosts_are_deployed_to_and_each_step_is_told(
    api: FakeApi, signed_in: Program, tmp_path: Path
) -> None:
    """A line for each host and step on stderr, the result on stdout; the key's text goes, not its path."""
    words = (
        "-u",
        "ubuntu",
        "-i",
        key_file(tmp_path),
        "--label",
        "lab-{host}",
        "--tag",
        "web",
        "--parallel",
        "1",
    )
    ended = await signed_in.run("deploy", "web-1", "root@web-2:2222", *words)
    assert ended.code == 0, ended.err
    lines = ended.err.splitlines()
    steps = ("connect", "authenticate", "preflight", "copy", "start", "online")
    assert lines[:6] == [f"web-1: {step}" for step in steps]
    assert lines[6] == "web-1: online"
    assert [line.split()[:2] for line in ended.out.splitlines()[1:]] == [
        ["web-1", "deployed"],
        ["root@web-2:2222", "deployed"],
    ]
    first, second = api.deployments.asked
    assert (first["ssh_user"], first["ssh_port"], first["label"]) == ("ubuntu", 22, "lab-web-1")
    assert (second["ssh_user"], second["ssh_port"], second["tags"]) == ("root", 2222, ["web"])
    assert first["ssh_key_text"] == KEY


async def test_passwords_are_asked_for_and_never_shown(api: FakeApi, signed_in: Program) -> None:
    """Where there is no terminal each is a line of standard input."""
    words = ("--ask-password", "--ask-sudo-password", "--jump", "jump@bastion:2200")
    ended = await signed_in.run("deploy", "web-1", *words, stdin=b"first secret\nsecond secret\n")
    assert ended.code == 0, ended.err
    (body,) = api.deployments.asked
    assert (body["ssh_password"], body["sudo_password"]) == ("first secret", "second secret")
    assert (body["jump"]["host"], body["jump"]["ssh_user"], body["jump"]["ssh_port"]) == (
        "bastion",
        "jump",
        2200,
    )
    assert "secret" not in ended.out + ended.err


async def test_a_failure_is_told_with_what_the_host_said(
    api: FakeApi, signed_in: Program, tmp_path: Path
) -> None:
    """The others go on; the exit code says that not all are online."""
    api.deployments.failing["web-1"] = FAILS
    ended = await signed_in.run("deploy", "web-1", "web-2", "-i", key_file(tmp_path))
    assert ended.code == 1
    assert "web-1: failed at preflight: The sudo password is wrong." in ended.err
    assert "web-1:   | Sorry, try again." in ended.err
    shown = json.loads((await signed_in.run("deploy", "web-1", "-i", key_file(tmp_path), "--json")).out)
    assert [(each["state"], each["code"]) for each in shown] == [("failed", "sudo_denied")]


async def test_ctrl_c_cancels_what_is_under_way(api: FakeApi, signed_in: Program, tmp_path: Path) -> None:
    """The hosts that were begun are cancelled, the others are not begun."""
    api.deployments.hanging |= {"web-1"}
    words = ("deploy", "web-1", "web-2", "-i", key_file(tmp_path), "--parallel", "1")
    process = await signed_in.start(*words)
    async with asyncio.timeout(20):
        while not api.deployments.streams:  # noqa: ASYNC110 - the fake sends no event
            await asyncio.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = await process.communicate()
    assert process.returncode == 130, err
    assert [each["state"] for each in api.deployments.deployments.values()] == ["cancelled"]
    assert b"cancelling" in err
    assert b"not begun" in out


async def test_without_a_way_to_sign_in_nothing_is_sent(api: FakeApi, signed_in: Program) -> None:
    """No key of one's own is sent unless it is named."""
    ended = await signed_in.run("deploy", "web-1")
    assert ended.code == 2
    assert "-i FILE" in ended.err
    assert api.deployments.asked == []


async def test_deployments_and_host_keys(api: FakeApi, signed_in: Program, tmp_path: Path) -> None:
    """They are listed, shown and cancelled; keys are forgotten by their host or id."""
    api.deployments.failing["web-1"] = FAILS
    await signed_in.run("deploy", "web-1", "-i", key_file(tmp_path))
    (deployment_id,) = api.deployments.deployments
    assert deployment_id in (await signed_in.run("deployments")).out
    shown = await signed_in.run("deployments", "show", deployment_id)
    assert "Sorry, try again." in shown.out
    assert (await signed_in.run("deployments", "cancel", deployment_id)).code == 6
    key, other = api.deployments.add_host_key("web-1"), api.deployments.add_host_key("web-2")
    assert key["fingerprint"] in (await signed_in.run("host-keys")).out
    assert (await signed_in.run("host-keys", "forget", "web-1", other["id"])).code == 0
    assert api.deployments.host_keys == {}
    assert (await signed_in.run("host-keys", "forget", "web-1")).code == 5
