"""What every center's API must do, seen through the client: inherit `ApiSuite`, give it a fixture `site`.

It holds the center without a center to the real one: the same requests, the same answers and error codes.
"""
# ruff: noqa: S101 - assert is how a suite speaks, and it states the numbers it expects

import asyncio
import secrets
import time
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Protocol

import pytest

from outrider.client import (
    AsyncCenter,
    Command,
    Deployment,
    DeploymentStep,
    Dispatch,
    DispatchCommand,
    DispatchOutput,
    Download,
    LogLine,
    Output,
    SecondFactorRequired,
    Snapshot,
    SshAccess,
    TargetRefused,
)
from outrider.client.terminal import TerminalEnded, TerminalOpened, TerminalWindow, open_terminal
from outrider.domain.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated, UnknownType
from outrider.domain.file_errors import FileExists, FolderNotEmpty
from outrider.domain.terminals import TerminalOver


class Host(Protocol):
    """An approved host that is online."""

    @property
    def agent_id(self) -> str:
        """Its id."""
        ...

    async def answer(self, stdout: str, exit_code: int) -> None:
        """Take the next command, say this and end so."""
        ...

    def disk(self) -> AbstractAsyncContextManager[str]:
        """A folder of the host that files may be put into, for the block."""
        ...

    def log_file(self) -> AbstractAsyncContextManager["LogFile"]:
        """A log file of the host, for the block."""
        ...

    def looks(self) -> AbstractAsyncContextManager[int]:
        """Let it be looked at for the block: a process of this id runs, and a service is `nginx.service`."""
        ...

    def terminals(self) -> AbstractAsyncContextManager[None]:
        """Let terminals be opened on the host, for the block."""
        ...

    def figures(self) -> AbstractAsyncContextManager["Figures"]:
        """The host's readings, for the block."""
        ...


class Figures(Protocol):
    """The readings of a host."""

    async def read(self) -> float:
        """Let five seconds pass, and the host read once more; return the time of the reading."""
        ...


class LogFile(Protocol):
    """A log file of a host."""

    path: str

    def write(self, line: str) -> None:
        """Add a line."""
        ...


class Site(Protocol):
    """A center to be asked, and a super admin of it with a token."""

    url: str
    token: str
    username: str
    password: str

    def host(self, label: str) -> AbstractAsyncContextManager[Host]:
        """A host of this label, for the block."""
        ...


def _name(word: str) -> str:
    """A name that no other test uses: a center may be shared."""
    return f"{word}-{secrets.token_hex(4)}"


class ApiSuite:
    """One promise a test."""

    async def test_signing_in_and_out(self, site: Site) -> None:
        """The token opens the API until it is signed out; a wrong password and a wrong token are refused."""
        async with AsyncCenter(site.url) as center:
            with pytest.raises(Unauthenticated):
                await center.session()
            with pytest.raises(Unauthenticated):
                await center.login(site.username, "wrong")
            signed_in = await center.login(site.username, site.password)
            assert (signed_in.user.username, signed_in.user.role) == (site.username, "super_admin")
            assert (await center.session()).center.version
            await center.logout()
            center._token = signed_in.token  # noqa: SLF001 - the old token, shown again
            await center.close()
            with pytest.raises(Unauthenticated):
                await center.session()

    async def test_users(self, site: Site) -> None:
        """Added, shown, changed, given a password, deleted; a name is taken once."""
        async with AsyncCenter(site.url, token=site.token) as center:
            added = await center.add_user(_name("ada"), "operator")
            assert added.password
            assert (added.role, added.must_change_password, added.disabled) == ("operator", True, False)
            with pytest.raises(Conflict):
                await center.add_user(added.username, "viewer")
            with pytest.raises(Invalid):
                await center.add_user(_name("bob"), "no such role")
            edited = await center.edit_user(added.id, role="viewer", disabled=True)
            assert (edited.role, edited.disabled) == ("viewer", True)
            assert (await center.user(added.id)).disabled
            assert added.id in {user.id for user in await center.users()}
            assert (await center.reset_password(added.id)).password
            await center.delete_user(added.id)
            for gone in (center.user, center.delete_user, center.reset_password):
                with pytest.raises(NotFound):
                    await gone(added.id)

    async def test_a_given_out_password_is_changed_first(self, site: Site) -> None:
        """Until then nothing else is answered; a password that is too short or guessed is refused."""
        async with AsyncCenter(site.url, token=site.token) as admin, AsyncCenter(site.url) as center:
            added = await admin.add_user(_name("ada"), "viewer")
            assert added.password
            entered = await center.login(added.username, added.password)
            assert entered.user.must_change_password
            with pytest.raises(Forbidden) as refused:
                await center.agents()
            assert refused.value.code == "password_change_required"
            with pytest.raises(Invalid):
                await center.change_password(added.password, "short")
            await center.change_password(added.password, "a long new password")
            await center.agents()
            await admin.delete_user(added.id)

    async def test_sessions(self, site: Site) -> None:
        """Listed with the one that asks marked; ended by id, and all others at once."""
        async with AsyncCenter(site.url) as center, AsyncCenter(site.url) as other:
            await center.login(site.username, site.password)
            await other.login(site.username, site.password)
            sessions = await center.sessions()
            assert sum(session.current for session in sessions) == 1
            (theirs,) = [session for session in await other.sessions() if session.current]
            await center.end_session(theirs.id)
            with pytest.raises(Unauthenticated):
                await other.session()
            with pytest.raises(NotFound):
                await center.end_session(theirs.id)

    async def test_api_tokens(self, site: Site) -> None:
        """Made for a user, shown once, listed without their text, revoked; a super admin has none."""
        async with AsyncCenter(site.url, token=site.token) as center:
            user = await center.add_user(_name("robot"), "operator", password="a password of robots")  # noqa: S106 - guards a test
            made = await center.new_token("ci", user=user.id, expires=time.time() + 3600)
            assert made.token
            listed = await center.tokens(user=user.id)
            assert [(token.id, token.name) for token in listed] == [(made.id, "ci")]
            await center.revoke_token(made.id)
            with pytest.raises(NotFound):
                await center.revoke_token(made.id)
            await center.new_token("ci", user=user.id)
            await center.revoke_tokens(user.id)
            assert await center.tokens(user=user.id) == []
            ours = (await center.session()).user.id
            with pytest.raises((Forbidden, Conflict)):
                await center.new_token("mine", user=ours)
            await center.delete_user(user.id)

    async def test_a_second_factor_begins_with_the_password(self, site: Site) -> None:
        """Its secret and address are told; a wrong password gets none, and nothing counts yet."""
        async with AsyncCenter(site.url, token=site.token) as admin, AsyncCenter(site.url) as center:
            password = "a password to keep"  # noqa: S105 - of a center that guards nothing
            user = await admin.add_user(_name("ada"), "viewer", password=password)
            entered = await center.login(user.username, password)
            if entered.user.must_change_password:
                await center.change_password(password, password + "!")
                password += "!"
            factor = await center.begin_totp(password)
            assert factor.uri.startswith("otpauth://totp/")
            assert factor.secret
            try:
                await center.login(user.username, password)
            except SecondFactorRequired as error:
                raise AssertionError("it counts before it is confirmed") from error
            await admin.delete_user(user.id)

    async def test_a_stream_token_is_made(self, site: Site) -> None:
        """It has an end that is near."""
        async with AsyncCenter(site.url, token=site.token) as center:
            assert (await center.stream_token()).token

    async def test_enrolment_keys(self, site: Site) -> None:
        """Made with their text, listed without it, revoked."""
        async with AsyncCenter(site.url, token=site.token) as center:
            made = await center.new_enrolment_key(label="rack 4", uses=3, ttl=60, tags=["web"])
            assert made.key.startswith("oek_")
            assert made.short is None
            typed = await center.new_enrolment_key(short=True)
            assert len(typed.short or "") == 8  # noqa: PLR2004 - what people type
            await center.revoke_enrolment_key(typed.id)
            (listed,) = [key for key in await center.enrolment_keys() if key.id == made.id]
            assert (listed.label, listed.uses, listed.tags) == ("rack 4", 3, ["web"])
            await center.revoke_enrolment_key(made.id)
            with pytest.raises(NotFound):
                await center.revoke_enrolment_key("no-such-key")

    async def test_agents(self, site: Site) -> None:
        """Found by target, tag and status; edited, declined, approved, deleted."""
        label = _name("web")
        async with site.host(label) as host, AsyncCenter(site.url, token=site.token) as center:
            edited = await center.edit_agent(host.agent_id, tags=["web", "SITE=x1"])
            assert sorted(edited.tags) == ["SITE=x1", "web"]
            for found in (
                await center.agents(target=f"{label} and tag:SITE=x1"),
                await center.agents(tag="web", text=label),
                await center.agents(status="online", text=label),
            ):
                assert [agent.id for agent in found] == [host.agent_id]
            assert (await center.decline(host.agent_id)).status == "declined"
            await center.approve(host.agent_id)
            await center.delete_agent(host.agent_id)
            with pytest.raises(NotFound):
                await center.agent(host.agent_id)

    async def test_targets(self, site: Site) -> None:
        """A preview says whom an expression means; one that can't be read points at the mistake."""
        label = _name("db")
        async with site.host(label) as host, AsyncCenter(site.url, token=site.token) as center:
            preview = await center.preview_target(f"{label[:-2]}*", limit=1)
            assert (preview.count, preview.by_status) == (1, {"online": 1})
            assert [agent.id for agent in preview.agents] == [host.agent_id]
            assert (await center.preview_target(_name("nobody"))).count == 0
            with pytest.raises(TargetRefused) as refused:
                await center.preview_target("tag:web and")
            assert {"position", "length", "expected"} <= set(refused.value.fields)
            assert "^" in refused.value.detail

    async def test_a_command(self, site: Site) -> None:
        """Sent, followed to its end, shown; a type that nobody knows is refused."""
        async with site.host(_name("web")) as host, AsyncCenter(site.url, token=site.token) as center:
            sent = await center.send(host.agent_id, "shell", {"command": "x"}, idempotency_key=_name("k"))
            async with asyncio.TaskGroup() as group:
                group.create_task(host.answer("one\n", 3), name="host")
                async with aclosing(center.follow(host.agent_id, sent.command_id)) as progress:
                    steps = [step async for step in progress]
            assert "".join(step.text for step in steps if isinstance(step, Output)) == "one\n"
            assert isinstance(steps[-1], Command)
            assert (steps[-1].status, steps[-1].exit_code) == ("failed", 3)
            assert (await center.command(host.agent_id, sent.command_id)).stdout == "one\n"
            with pytest.raises(UnknownType):
                await center.send(host.agent_id, "dance")
            with pytest.raises(NotFound):
                await center.command(host.agent_id, "cmd_00000000000000000000")

    async def test_figures(self, site: Site) -> None:
        """A snapshot at once, then each reading; the past of the host; one that is not there is an error."""
        async with (
            site.host(_name("web")) as host,
            host.figures() as figures,
            AsyncCenter(site.url, token=site.token) as center,
        ):
            first = await figures.read()
            async with aclosing(center.watch_metrics(host.agent_id)) as steps:
                at_once = await anext(steps)
                assert isinstance(at_once, Snapshot)
                assert at_once.time == pytest.approx(first, abs=0.01)
                second = await figures.read()
                step = await anext(steps)
                assert isinstance(step, Snapshot)
                assert step.time == pytest.approx(second, abs=0.01)
            past = await center.metrics(host.agent_id, start=first - 60, end=second + 60, step=5)
            assert (past.agent_id, past.step) == (host.agent_id, 5)
            assert all(len(past.times) == len(each.mean) for each in past.series.values())
            with pytest.raises(Invalid):
                await center.metrics(host.agent_id, start=second, end=first)
            with pytest.raises(Invalid):
                await center.metrics(host.agent_id, start=0, end=second, step=5)
            with pytest.raises(NotFound):
                await center.metrics("agent_00000000000000000000")
            with pytest.raises(NotFound):
                await anext(center.watch_metrics("agent_00000000000000000000"))

    async def test_a_terminal(self, site: Site) -> None:
        """Typed into and shown; cut, and come back to where it was; listed, and over once it has ended."""
        async with (
            site.host(_name("web")) as host,
            host.terminals(),
            AsyncCenter(site.url, token=site.token) as center,
        ):
            async with open_terminal(center, host.agent_id, columns=90, rows=20, command="cat") as window:
                opened = await window.next()
                assert isinstance(opened, TerminalOpened)
                await window.resize(100, 30)
                await window.type(b"one\r")
                shown = await _shown(window, b"one\r\none\r\n")
            seen = opened.offset + len(shown)
            async with open_terminal(center, host.agent_id, terminal=opened.terminal, seen=seen) as again:
                back = await again.next()
                assert isinstance(back, TerminalOpened)
                assert (back.terminal, back.offset) == (opened.terminal, seen)
                await again.type(b"two\r")
                await _shown(again, b"two\r\ntwo\r\n")
                await again.type(b"\x04")
                while not isinstance(step := await again.next(), TerminalEnded):
                    assert isinstance(step, bytes)
                assert step.exit_code == 0
            found = [each async for each in center.terminals(agent=host.agent_id)]
            assert [(each.id, each.command) for each in found] == [(opened.terminal, "cat")]
            with pytest.raises(TerminalOver):
                await _open(center, host.agent_id, opened.terminal)
            with pytest.raises(TerminalOver):
                await center.end_terminal(opened.terminal)
            with pytest.raises(NotFound):
                await center.end_terminal("term_000000000000")
            with pytest.raises(NotFound):
                await anext(center.recording(opened.terminal))
            with pytest.raises(NotFound):
                await _open(center, "agent_00000000000000000000", None)

    async def test_files(self, site: Site) -> None:
        """Uploaded, looked at, listed, downloaded whole and from a place on; what can't be is told."""
        content = bytes(range(256)) * 1000
        async with (
            site.host(_name("web")) as host,
            host.disk() as folder,
            AsyncCenter(site.url, token=site.token) as center,
        ):
            sent = await center.upload(host.agent_id, folder, [content[:1000], content[1000:]], name="a b")
            assert (sent.path, sent.size) == (f"{folder}/a b", len(content))
            facts = await center.file(host.agent_id, sent.path, digest=True)
            assert (facts.kind, facts.size, facts.blake3) == ("file", len(content), sent.blake3)
            assert [each.name async for each in center.files(host.agent_id, folder)] == ["a b"]
            for start in (0, 5000):
                steps = [
                    step
                    async for step in center.download(
                        host.agent_id, sent.path, start=start, etag=facts.etag or ""
                    )
                ]
                assert steps[0] == Download(start=start, size=len(content), etag=facts.etag or "")
                assert b"".join(step for step in steps if isinstance(step, bytes)) == content[start:]
            with pytest.raises(FileExists):
                await center.upload(host.agent_id, sent.path, [b"x"], size=1, overwrite=False)
            with pytest.raises(NotFound):
                await center.upload(host.agent_id, f"{folder}/no/file", [b"x"], size=1)
            with pytest.raises(NotFound):
                await center.file(host.agent_id, f"{folder}/nothing")
            with pytest.raises(Invalid):
                await center.file(host.agent_id, "relative")

    async def test_folders_are_made_and_files_moved_and_deleted(self, site: Site) -> None:
        """What is there stays unless it is said; what is deleted is counted."""
        async with (
            site.host(_name("web")) as host,
            host.disk() as folder,
            AsyncCenter(site.url, token=site.token) as center,
        ):
            agent = host.agent_id
            assert (await center.make_folder(agent, f"{folder}/a")).path == f"{folder}/a"
            for name in ("a/one", "a/two"):
                await center.upload(agent, f"{folder}/{name}", [b"x"])
            with pytest.raises(FileExists):
                await center.make_folder(agent, f"{folder}/a")
            with pytest.raises(NotFound):
                await center.make_folder(agent, f"{folder}/no/a")
            with pytest.raises(FileExists):
                await center.move_file(agent, f"{folder}/a/one", f"{folder}/a/two")
            await center.move_file(agent, f"{folder}/a/one", f"{folder}/a/two", replace=True)
            assert (await center.move_file(agent, f"{folder}/a", f"{folder}/b")).path == f"{folder}/b"
            assert [each.name async for each in center.files(agent, f"{folder}/b")] == ["two"]
            with pytest.raises(FolderNotEmpty):
                await center.delete_file(agent, f"{folder}/b")
            gone = await center.delete_file(agent, f"{folder}/b", recursive=True)
            assert (gone.path, gone.deleted) == (f"{folder}/b", len(("b", "two")))
            for deed in (center.delete_file(agent, f"{folder}/b"), center.file(agent, f"{folder}/b")):
                with pytest.raises(NotFound):
                    await deed

    async def test_a_log(self, site: Site) -> None:
        """The last lines, then new ones; it goes on after any line; a file that is not there is an error."""
        async with (
            site.host(_name("web")) as host,
            host.log_file() as file,
            AsyncCenter(site.url, token=site.token) as center,
        ):
            for number in range(5):
                file.write(f"line {number}")
            async with aclosing(center.logs(host.agent_id, path=file.path, lines=2)) as steps:
                first, second = await anext(steps), await anext(steps)
                file.write("line 5")
                third = await anext(steps)
            lines = [step for step in (first, second, third) if isinstance(step, LogLine)]
            assert [line.message for line in lines] == ["line 3", "line 4", "line 5"]
            again = center.logs(host.agent_id, path=file.path, after=lines[0].position, follow=False)
            async with aclosing(again) as steps:
                assert [step.message async for step in steps if isinstance(step, LogLine)] == [
                    "line 4",
                    "line 5",
                ]
            with pytest.raises(NotFound):
                await anext(center.logs(host.agent_id, path=file.path + ".nowhere"))
            with pytest.raises(NotFound):
                await anext(center.logs("agent_00000000000000000000", path=file.path))

    async def test_looks(self, site: Site) -> None:
        """What runs on a host and its services, as asked for; a host nobody knows has none."""
        async with (
            site.host(_name("web")) as host,
            host.looks() as pid,
            AsyncCenter(site.url, token=site.token) as center,
        ):
            found = await center.processes(host.agent_id, sort="pid", limit=10_000, sample=0.0)
            assert [each.pid for each in found.processes] == sorted(each.pid for each in found.processes)
            (own,) = (each for each in found.processes if each.pid == pid)
            assert own.start_ticks > 0
            assert (found.count, found.left_out) == (len(found.processes), 0)
            first = await center.processes(host.agent_id, limit=1, match=own.name.upper(), sample=0.0)
            assert len(first.processes) == 1 <= first.count
            services = await center.services(host.agent_id, state="active", match="NGINX")
            assert [(each.name, each.active) for each in services.services] == [("nginx.service", "active")]
            assert (await center.services(host.agent_id, state="failed")).services == []
            with pytest.raises(NotFound):
                await center.processes("agent_00000000000000000000")
            with pytest.raises(NotFound):
                await center.services("agent_00000000000000000000")

    async def test_a_dispatch(self, site: Site) -> None:
        """Followed to its end with what each host said; its results are listed; failures are retried."""
        word = _name("fan")
        async with (
            site.host(f"{word}-1") as first,
            site.host(f"{word}-2") as second,
            AsyncCenter(site.url, token=site.token) as center,
        ):
            key = _name("k")
            made = await center.dispatch(f"{word}-*", "shell", {"command": "x"}, idempotency_key=key)
            again = await center.dispatch(f"{word}-*", "shell", {"command": "x"}, idempotency_key=key)
            assert (made.id, made.total, made.state) == (again.id, 2, "running")
            async with asyncio.TaskGroup() as group:
                group.create_task(first.answer("same\n", 0), name="first host")
                group.create_task(second.answer("same\n", 4), name="second host")
                async with aclosing(center.follow_dispatch(made.id)) as progress:
                    steps = [step async for step in progress]
            ends = {step.agent_id: step for step in steps if isinstance(step, DispatchCommand)}
            assert {one.exit_code for one in ends.values()} == {0, 4}
            assert {one.stdout for one in ends.values()} == {"same\n"}
            live = [step for step in steps if isinstance(step, DispatchOutput)]
            assert {one.text for one in live} <= {"same\n"}
            final = steps[-1]
            assert isinstance(final, Dispatch)
            assert (final.state, final.counts) == ("failed", {"succeeded": 1, "failed": 1})
            results = [one async for one in center.dispatch_commands(made.id, page=1)]
            assert {one.id for one in results} == {one.id for one in ends.values()}
            (failed,) = [one async for one in center.dispatch_commands(made.id, state="failed")]
            assert failed.label.startswith(word)
            with pytest.raises(Conflict):
                await center.cancel_dispatch(made.id)
            retried = await center.retry_dispatch(made.id)
            assert retried.total == 1
            cancelled = await center.cancel_dispatch(retried.id)
            assert cancelled.state == "cancelled"
            async with aclosing(center.dispatches()) as dispatches:
                listed = [one.id async for one in dispatches]
            assert {made.id, retried.id} <= set(listed)

    async def test_a_dispatch_to_nobody_is_an_error(self, site: Site) -> None:
        """A target that means nobody never means everyone; a dispatch that is not there is not found."""
        async with AsyncCenter(site.url, token=site.token) as center:
            with pytest.raises(TargetRefused):
                await center.dispatch(_name("nobody"), "shell", {"command": "x"})
            with pytest.raises(NotFound):
                await center.dispatch_facts("dsp_00000000000000000000")

    async def test_schedules(self, site: Site) -> None:
        """Made, listed, changed, fired by hand with its dispatch, deleted."""
        label = _name("cron")
        async with site.host(label) as host, AsyncCenter(site.url, token=site.token) as center:
            sent = {"target": label, "type": "shell", "params": {"command": "x"}}
            made = await center.new_schedule(label, {"cron": "0 3 * * *", "zone": "Europe/Berlin"}, sent)
            assert (made.name, made.enabled, made.dispatch["target"]) == (label, True, label)
            assert made.next
            assert made.id in {schedule.id for schedule in await center.schedules()}
            assert not (await center.edit_schedule(made.id, enabled=False)).enabled
            firing = await center.fire_schedule(made.id)
            assert firing.dispatch_id
            assert (await center.dispatch_facts(firing.dispatch_id)).unanswered[0].agent_id == host.agent_id
            assert [one.dispatch_id for one in await center.firings(made.id)] == [firing.dispatch_id]
            await center.delete_schedule(made.id)
            with pytest.raises(NotFound):
                await center.schedule(made.id)

    async def test_deployments(self, site: Site) -> None:
        """One that fails says at which step and why; it is listed, and can't be cancelled any more."""
        async with AsyncCenter(site.url, token=site.token) as center:
            access = SshAccess(host="127.0.0.1", port=1, key_text="no key")
            steps = [
                step async for step in center.follow_deployment((await center.begin_deployment(access)).id)
            ]
            *notes, ended = steps
            assert isinstance(ended, Deployment)
            assert (ended.state, ended.step, ended.code) == ("failed", "authenticate", "ssh_key_unusable")
            assert [each.state for each in notes if isinstance(each, DeploymentStep)][-1] == "failed"
            assert ended in [each async for each in center.deployments()]
            assert await center.deployment(ended.id) == ended
            with pytest.raises(Conflict):
                await center.cancel_deployment(ended.id)
            assert (await center.deploy(access)).code == "ssh_key_unusable"
            assert await center.ssh_host_keys(host="nobody.invalid") == []
            with pytest.raises(NotFound):
                await center.forget_ssh_host_key("hk_nothing")

    async def test_alert_rules_and_channels(self, site: Site) -> None:
        """A channel shows only its scheme, and stays while a rule tells it; rules are made and changed."""
        async with AsyncCenter(site.url, token=site.token) as center:
            channel = await center.new_alert_channel(_name("ops"), "json://127.0.0.1:1/a-secret-path")
            assert channel.kind == "json"
            listed = [one for one in await center.alert_channels() if one.id == channel.id]
            assert "secret" not in repr(listed)
            assert (await center.edit_alert_channel(channel.id, name="night")).name == "night"
            with pytest.raises(Invalid):
                await center.new_alert_channel("bad", "no address")
            when = {"kind": "metric", "series": "cpu_percent", "over": 90.0, "for_s": 300.0}
            rule = await center.new_alert_rule(_name("hot"), when, "tag:web", channels=[channel.id])
            assert (rule.when, rule.severity, rule.channels) == (when, "warning", [channel.id])
            assert rule in await center.alert_rules()
            assert not (await center.edit_alert_rule(rule.id, enabled=False)).enabled
            for bad in ({"kind": "offline"}, {"kind": "metric", "series": "no such", "over": 1, "for_s": 1}):
                with pytest.raises(Invalid):
                    await center.new_alert_rule("bad", bad, "all")
            with pytest.raises(TargetRefused):
                await center.new_alert_rule("bad", when, "tag:web and")
            with pytest.raises(Conflict):
                await center.delete_alert_channel(channel.id)
            await center.delete_alert_rule(rule.id)
            with pytest.raises(NotFound):
                await center.alert_rule(rule.id)
            await center.delete_alert_channel(channel.id)

    async def test_silences_and_seen_alerts(self, site: Site) -> None:
        """A silence is of a target, a rule or both; it can be ended. Acknowledging says how many were new."""
        async with AsyncCenter(site.url, token=site.token) as center:
            rule = await center.new_alert_rule(_name("away"), {"kind": "offline", "for_s": 60.0}, "no-host")
            made = await center.new_silence(
                time.time() + 600, target="tag:web", rule=rule.id, reason="new switch"
            )
            assert (made.target, made.rule_id, made.reason) == ("tag:web", rule.id, "new switch")
            assert made.id in {one.id for one in await center.silences()}
            assert (await center.end_silence(made.id)).id == made.id
            assert made.id not in {one.id for one in await center.silences()}
            with pytest.raises(Invalid):
                await center.new_silence(time.time() + 600)
            assert await center.alerts(rule=rule.id, states=["firing", "resolved"]) == []
            assert await center.acknowledge_alerts(rule=rule.id) == 0
            with pytest.raises(Invalid):
                await center.acknowledge_alerts()
            await center.alert_notices(limit=5)
            await center.delete_alert_rule(rule.id)

    async def test_the_audit_log(self, site: Site) -> None:
        """Entries are read page by page, exported, and verified."""
        async with AsyncCenter(site.url, token=site.token) as center:
            for order, backwards in (("asc", False), ("desc", True)):
                async with aclosing(center.audit(limit=3, order=order)) as entries:
                    numbers = [entry.number async for entry in entries]
                assert numbers == sorted(numbers, reverse=backwards)
            assert (await center.verify_audit()).ok
            async with aclosing(center.export_audit()) as pieces:
                exported = b"".join([piece async for piece in pieces])
            assert not exported or exported.endswith(b"\n")


async def _shown(window: TerminalWindow, end: bytes) -> bytes:
    """What a terminal shows up to this."""
    shown = b""
    while not shown.endswith(end):
        step = await window.next()
        assert isinstance(step, bytes)
        shown += step
    return shown


async def _open(center: AsyncCenter, agent_id: str, terminal: str | None) -> None:
    async with open_terminal(center, agent_id, terminal=terminal):
        pass
