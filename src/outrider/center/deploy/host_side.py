"""The host's side of a deployment: sent to a host as text, and run there as root by `python3 -I`.

It needs nothing but the standard library of Python 3.11, imports nothing of ours, and writes one line of JSON
at a time:

    {"facts": {...}}                        what kind of host this is; then it waits for its order
    {"install": {"step": ..., ...}}         what the installer reports
    {"said": "..."}                         what it says besides
    {"failed": "copy", "detail": "..."}     what could not be done before the installer ran
    {"ended": 0}                            the installer's exit code, the temporary folder is gone

The order is one line of JSON: `files` (name, size, sha256) and the installer's `settings`; after it come the
files' bytes. Then each byte is a word: `.` says that the center is still there, `x` that the installer is to
undo what it did. When the center has gone, that is done too, unless the agent's start has begun: then the
installer comes to its own end, and the center finds out by what the agent does.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import queue
import shutil
import signal
import struct
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from typing import IO, TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST_ORDER: Final = 256 * 1024
_MOST_LINE: Final = 64 * 1024
_PIECE: Final = 256 * 1024
_SILENCE: Final = 60
"""Seconds without a byte of the center after which it counts as gone."""
_UNDO_SECONDS: Final = 30.0
_LAST_WORDS_SECONDS: Final = 1.0
_CANCEL: Final = b"x"
_WORDS: Final = ("install", "--json", "--settings", "-")
_STREAMS: Final = ("install", "said")
_ENDING: Final = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class _GoneError(Exception):
    """The center has gone, or says nothing any more."""


class _FailedError(Exception):
    """What could not be done, in words for people."""


class _Voice:
    """Writes lines of JSON; a reader that has gone is no reason to stop before all is tidied up."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out: IO[bytes] | None = out

    def say(self, **facts: Any) -> None:
        """Write one line."""
        if self._out is None:
            return
        try:
            self._out.write(json.dumps(facts).encode() + b"\n")
            self._out.flush()
        except OSError:
            self._out = None


def facts() -> dict[str, Any]:
    """Say what an agent's bundle has to fit."""
    machine = os.uname().machine
    wide = struct.calcsize("P") == 8  # noqa: PLR2004 - bytes of an address
    if machine in ("i386", "i586", "i686") or (machine == "x86_64" and not wide):
        machine = "i686"
    elif machine == "aarch64" and not wide:
        machine = "armv7l"
    is_musl = "musl" in str(sysconfig.get_config_var("SOABI"))
    return {
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "platform": f"linux-{machine}{'-musl' if is_musl else ''}",
        "glibc": "" if is_musl else platform.libc_ver()[1],
    }


def serve(center: IO[bytes], voice: _Voice) -> int:
    """Do what the center asks for and return an exit code. Nothing is left of what was only needed for it."""
    voice.say(facts=facts())
    try:
        with _impatient():
            line = center.readline(_MOST_ORDER)
        if not line.endswith(b"\n"):
            return 1
        order = json.loads(line)
        with _folder() as folder:
            for file in order["files"]:
                _take(center, file, os.path.join(folder, file["name"]))  # noqa: PTH118 - pathlib loads slowly
            code = _Installer(order["settings"], folder, voice).run(center)
    except _GoneError:
        return 1
    except _FailedError as error:
        voice.say(failed="copy", detail=str(error))
        return 1
    voice.say(ended=code)
    return code


@contextlib.contextmanager
def _folder() -> Iterator[str]:
    """Make a folder that only we can read, on a disk and not in memory, and remove it in any case."""
    try:
        folder = tempfile.mkdtemp(
            prefix="outrider-deploy-",
            dir="/var/tmp" if os.access("/var/tmp", os.W_OK) else None,  # noqa: S108 - it is made for us alone
        )
    except OSError as error:
        raise _FailedError(f"no temporary folder can be made here: {error}") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _take(center: IO[bytes], file: dict[str, Any], path: str) -> None:
    """Take one file whole. Raises _GoneError when it is cut off, _FailedError when it can't be kept."""
    digest = hashlib.sha256()
    left = int(file["size"])
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as kept:  # noqa: PTH123 - a descriptor
            while left:
                with _impatient():
                    piece = center.read(min(left, _PIECE))
                if not piece:
                    raise _GoneError
                digest.update(piece)
                kept.write(piece)
                left -= len(piece)
    except OSError as error:
        raise _FailedError(f"{os.path.dirname(path)}: {error.strerror or error}") from error  # noqa: PTH120 - texts all the way: this runs on any Python
    if digest.hexdigest() != file["sha256"]:
        raise _FailedError(f"{file['name']} was changed on its way")


@contextlib.contextmanager
def _impatient() -> Iterator[None]:
    """Raise _GoneError in the block when it takes longer than the center may be silent."""

    def give_up(*_: object) -> None:
        raise _GoneError

    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(_SILENCE)
    try:
        yield
    finally:
        signal.alarm(0)


class _Installer:
    """The installer as a child, and what the center says meanwhile."""

    def __init__(self, settings: dict[str, Any], folder: str, voice: _Voice) -> None:
        self._settings = settings
        self._folder = folder
        self._voice = voice
        self._events: queue.SimpleQueue[tuple[str, bytes]] = queue.SimpleQueue()
        self._has_started = False
        self._open_streams = 2
        self._kill_at = 0.0

    def run(self, center: IO[bytes]) -> int:
        """Run it to its end; returns its exit code."""
        child = subprocess.Popen(
            [sys.executable, "-I", f"{self._folder}/outrider-agent.pyz", *_WORDS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            env={"PATH": _PATH, "LANG": "C.UTF-8"},
            start_new_session=True,
        )
        try:
            self._give(child)
            for name, stream in zip(_STREAMS, (child.stdout, child.stderr), strict=True):
                threading.Thread(target=self._read, args=(name, stream), daemon=True).start()
            threading.Thread(target=self._listen, args=(center,), daemon=True).start()
            threading.Thread(target=self._wait, args=(child,), daemon=True).start()
            for number in _ENDING:
                signal.signal(number, lambda *_: self._events.put(("gone", b"")))
            self._attend(child)
        finally:
            if child.poll() is None:
                self._kill(child)
        return child.wait()

    def _give(self, child: subprocess.Popen[bytes]) -> None:
        """Give it the settings on its standard input: no list of processes shows the secrets in them."""
        bundle = f"{self._folder}/bundle.tar.gz"
        settings = {**self._settings, "bundle": bundle} if os.path.exists(bundle) else self._settings  # noqa: PTH110 - as above
        # One that ends at once says why on its other streams.
        with contextlib.suppress(BrokenPipeError):
            if child.stdin is not None:
                child.stdin.write(json.dumps(settings).encode())
                child.stdin.close()

    def _attend(self, child: subprocess.Popen[bytes]) -> None:
        heard, is_alone = time.monotonic(), False
        while True:
            now = time.monotonic()
            if self._kill_at and now >= self._kill_at:
                self._kill(child)
                return
            until = self._kill_at or (now + _SILENCE if is_alone else heard + _SILENCE)
            try:
                event, data = self._events.get(timeout=max(0.0, until - now))
            except queue.Empty:
                event, data = ("gone", b"") if not (self._kill_at or is_alone) else ("", b"")
            match event:
                case "ended":
                    self._say_the_rest()
                    return
                case "center":
                    heard = now
                    if _CANCEL in data:
                        self._undo(child)
                case "gone":
                    is_alone = True
                    if not self._has_started:
                        self._undo(child)
                case _:
                    self._pass_on(event, data)

    def _say_the_rest(self) -> None:
        """Pass on what was on its way; a process that it left running may hold its streams open for ever."""
        until = time.monotonic() + _LAST_WORDS_SECONDS
        while self._open_streams and (left := until - time.monotonic()) > 0:
            try:
                event, data = self._events.get(timeout=left)
            except queue.Empty:
                return
            self._pass_on(event, data)

    def _undo(self, child: subprocess.Popen[bytes]) -> None:
        if not self._kill_at:
            self._kill_at = time.monotonic() + _UNDO_SECONDS
            child.terminate()

    def _kill(self, child: subprocess.Popen[bytes]) -> None:
        # The whole session: what it has started for its work goes with it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)

    def _pass_on(self, event: str, data: bytes) -> None:
        if event in _STREAMS and not data:
            self._open_streams -= 1
        text = data.decode("utf-8", "replace").rstrip("\n")
        if event == "install" and text:
            try:
                told = json.loads(text)
            except ValueError:
                told = None
            if isinstance(told, dict):
                self._has_started = self._has_started or told.get("step") in ("start", "online")
                self._voice.say(install=told)
                return
        if event in _STREAMS and text:
            self._voice.say(said=text)

    def _read(self, name: str, stream: IO[bytes] | None) -> None:
        while stream is not None and (line := stream.readline(_MOST_LINE)):
            self._events.put((name, line))
        self._events.put((name, b""))

    def _listen(self, center: IO[bytes]) -> None:
        try:
            while said := center.read(1):
                self._events.put(("center", said))
        except OSError:
            pass
        self._events.put(("gone", b""))

    def _wait(self, child: subprocess.Popen[bytes]) -> None:
        child.wait()
        self._events.put(("ended", b""))


def _leave(*_: object) -> None:
    raise SystemExit(1)


def main() -> None:
    """Serve the center on the standard streams."""
    for number in _ENDING:
        signal.signal(number, _leave)
    os.umask(0o022)
    try:
        code = serve(sys.stdin.buffer, _Voice(sys.stdout.buffer))
    except SystemExit:
        code = 1
    # Not by way of the interpreter's end: a thread still reads, and would be waited for.
    os._exit(code if 0 <= code < 256 else 1)  # noqa: PLR2004 - what an exit code can be


if __name__ == "__main__":
    main()
