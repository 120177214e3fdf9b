"""Settings: file and environment, every problem named with its place."""

import enum
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outrider.kit.config import ConfigError, Setting, describe, load, tell, variables


class Colour(enum.Enum):
    """A choice."""

    RED = "red"
    BLUE = "blue"


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """A table of settings."""

    listen: Annotated[str, msgspec.Meta(description="Where peers connect.")] | None = None
    port: Annotated[int, msgspec.Meta(ge=1, le=65535, description="The peer port.")] = 3841


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of every kind."""

    home: Annotated[Path, msgspec.Meta(description="The data folder.")] = Path("/var/lib/x")
    tls_listen: str | None = None
    retries: int = 3
    pause: float = 1.5
    verbose: bool = False
    proxies: list[str] = []
    ports: tuple[Annotated[int, msgspec.Meta(ge=1)], ...] = ()
    mode: Literal["slow", "fast"] = "slow"
    colour: Colour = Colour.RED
    limits: dict[str, int] = {}
    admin_password: Annotated[str, msgspec.Meta(min_length=8)] | None = None
    peer: Peer = Peer(port=4000)


class Required(msgspec.Struct, frozen=True, kw_only=True):
    """Settings without a default."""

    url: str
    peer: Peer


Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a settings file and give its path."""

    def write_text(text: str) -> Path:
        path = tmp_path / "outrider.toml"
        path.write_text(text)
        return path

    return write_text


def _problems(**environ: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load(Settings, file=None, environ=environ)
    return caught.value.problems


def test_without_anything_the_defaults_hold() -> None:
    """No file and no variables give the defaults; foreign variables don't matter."""
    assert load(Settings, file=None, environ={"HOME": "/root", "OUTRIDERS": "1"}) == Settings()


def test_a_file_sets_everything(write: Write) -> None:
    """Every kind of setting can stand in the file, one level of tables included."""
    path = write(
        """
        home = "/srv/x"
        tls_listen = "0.0.0.0:8443"
        retries = 5
        pause = 2
        verbose = true
        proxies = ["10.0.0.1", "10.0.0.2"]
        ports = [80, 443]
        mode = "fast"
        colour = "blue"
        limits = {cpu = 2}
        admin_password = "long enough"
        [peer]
        listen = "0.0.0.0:1"
        port = 1
        """
    )
    assert load(Settings, file=path, environ={}) == Settings(
        home=Path("/srv/x"),
        tls_listen="0.0.0.0:8443",
        retries=5,
        pause=2.0,
        verbose=True,
        proxies=["10.0.0.1", "10.0.0.2"],
        ports=(80, 443),
        mode="fast",
        colour=Colour.BLUE,
        limits={"cpu": 2},
        admin_password="long enough",
        peer=Peer(listen="0.0.0.0:1", port=1),
    )


def test_the_environment_sets_everything_a_text_can_say() -> None:
    """Variables are converted by the type of their setting."""
    environ = {
        "OUTRIDER_HOME": "/srv/x",
        "OUTRIDER_TLS_LISTEN": "[::]:8443",
        "OUTRIDER_RETRIES": "-5",
        "OUTRIDER_PAUSE": "2.25",
        "OUTRIDER_VERBOSE": "Yes",
        "OUTRIDER_PROXIES": " 10.0.0.1, 10.0.0.2,,",
        "OUTRIDER_PORTS": "80,443",
        "OUTRIDER_MODE": "fast",
        "OUTRIDER_COLOUR": "blue",
        "OUTRIDER_ADMIN_PASSWORD": "long enough",
        "OUTRIDER_PEER_LISTEN": "",
        "OUTRIDER_PEER_PORT": "1",
    }
    assert load(Settings, file=None, environ=environ) == Settings(
        home=Path("/srv/x"),
        tls_listen="[::]:8443",
        retries=-5,
        pause=2.25,
        verbose=True,
        proxies=["10.0.0.1", "10.0.0.2"],
        ports=(80, 443),
        mode="fast",
        colour=Colour.BLUE,
        admin_password="long enough",
        peer=Peer(listen=None, port=1),
    )


def test_the_environment_wins(write: Write) -> None:
    """A variable beats the file, key by key; what it does not name stays as the file says."""
    path = write('retries = 5\nmode = "fast"\n[peer]\nlisten = "a:1"\nport = 5')
    settings = load(Settings, file=path, environ={"OUTRIDER_RETRIES": "6", "OUTRIDER_PEER_PORT": "6"})
    assert settings == Settings(retries=6, mode="fast", peer=Peer(listen="a:1", port=6))


def test_a_table_keeps_its_own_defaults() -> None:
    """Setting one key of a table leaves its other keys at the table's default, not at the type's."""
    settings = load(Settings, file=None, environ={"OUTRIDER_PEER_LISTEN": "a:1"})
    assert settings.peer == Peer(listen="a:1", port=4000)


def test_an_empty_variable_unsets_an_optional_setting(write: Write) -> None:
    """An empty variable takes back what the file sets, where nothing is allowed."""
    assert (
        load(Settings, file=write('tls_listen = "a:1"'), environ={"OUTRIDER_TLS_LISTEN": ""}).tls_listen
        is None
    )


def test_another_prefix() -> None:
    """The prefix of the variables is the caller's choice."""
    assert (
        load(Settings, file=None, environ={"X_RETRIES": "9", "OUTRIDER_RETRIES": "?"}, prefix="X_").retries
        == 9
    )


@given(st.integers())
def test_whole_numbers_survive_the_environment(number: int) -> None:
    """A whole number written as text comes back as itself, if the codec can hold it."""
    environ = {"OUTRIDER_RETRIES": str(number)}
    assert load(Settings, file=None, environ=environ).retries == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_survive_the_environment(number: float) -> None:
    """A finite number written as text comes back as itself."""
    assert load(Settings, file=None, environ={"OUTRIDER_PAUSE": repr(number)}).pause == number


@given(st.lists(st.text(st.characters(exclude_characters=",", exclude_categories=["Cs"]), min_size=1)))
def test_lists_survive_the_environment(items: list[str]) -> None:
    """Items without commas come back in order, without the blanks around them."""
    expected = [item.strip() for item in items if item.strip()]
    assert load(Settings, file=None, environ={"OUTRIDER_PROXIES": ",".join(items)}).proxies == expected


@given(st.text(), st.sampled_from(sorted(variables(Settings))))
def test_any_text_is_a_value_or_a_problem(text: str, variable: str) -> None:
    """No text in any variable causes another error than a ConfigError that names the variable."""
    try:
        load(Settings, file=None, environ={variable: text})
    except ConfigError as error:
        problems = error.problems
    else:
        problems = ()
    assert all(f"({variable})" in problem for problem in problems)


@pytest.mark.parametrize(
    ("setting", "text", "reason", "allowed"),
    [
        ("retries", "many", "", "a whole number"),
        ("pause", "nan", "", "a number"),
        ("verbose", "perhaps", "", "true or false"),
        ("mode", "medium", " (Invalid enum value 'medium')", "one of fast, slow"),
        ("colour", "green", " (Invalid enum value 'green')", "one of red, blue"),
        ("peer.port", "70000", " (Expected `int` <= 65535)", "a whole number (at least 1 and at most 65535)"),
        ("ports", "80,x", "", "a list of: a whole number (at least 1); in a variable separated by commas"),
        ("limits", "cpu=2", "", "a table of the file"),
    ],
)
def test_a_bad_variable_is_explained(setting: str, text: str, reason: str, allowed: str) -> None:
    """The text says which setting, which variable, what was found and what is allowed."""
    variable = f"OUTRIDER_{setting.replace('.', '_').upper()}"
    expected = f"{setting} ({variable}): {text!r} can't be used{reason}. Allowed: {allowed}"
    assert _problems(**{variable: text}) == (expected,)


def test_a_secret_is_never_quoted() -> None:
    """The value of a setting whose name stands for a secret does not appear in the error."""
    [problem] = _problems(OUTRIDER_ADMIN_PASSWORD="short")
    assert problem.startswith("admin_password (OUTRIDER_ADMIN_PASSWORD): *** can't be used. Allowed: text")
    assert "short" not in problem


def test_a_bad_value_in_the_file_is_explained(write: Write) -> None:
    """The text says which key of which file."""
    path = write('pause = "5"\n[peer]\nlisten = 0')
    with pytest.raises(ConfigError) as caught:
        load(Settings, file=path, environ={})
    pause, listen = caught.value.problems
    assert pause == (
        f"pause ({path}, key pause): '5' can't be used (Expected `float`, got `str`). Allowed: a number"
    )
    assert listen.startswith(f"peer.listen ({path}, key peer.listen): 0 can't be used (Expected `str | null`")


def test_all_problems_come_at_once(write: Write) -> None:
    """Unknown names and bad values of both sources are told in one go, with the nearest names."""
    path = write('hme = "/x"\nzebra = 1\nmode = 3\npeer = {prot = 1}')
    environ = {"OUTRIDER_RETRY": "1", "OUTRIDER_PAUSE": "x", "OUTRIDER_QQQ": ""}
    with pytest.raises(ConfigError) as caught:
        load(Settings, file=path, environ=environ)
    assert caught.value.problems == (
        "unknown variable 'OUTRIDER_QQQ'",
        "unknown variable 'OUTRIDER_RETRY': did you mean 'OUTRIDER_RETRIES'?",
        f"unknown setting 'hme' in {path}: did you mean 'home'?",
        f"unknown setting 'zebra' in {path}",
        f"unknown setting 'peer.prot' in {path}: did you mean 'peer.port'?",
        "pause (OUTRIDER_PAUSE): 'x' can't be used. Allowed: a number",
        f"mode ({path}, key mode): 3 can't be used (Expected `str`, got `int`). Allowed: one of fast, slow",
    )
    assert str(caught.value).splitlines() == list(caught.value.problems)


def test_variables_of_another_program_are_let_be() -> None:
    """Variables named as known are no error, and not a setting either."""
    environ = {"OUTRIDER_CENTER_URL": "x", "OUTRIDER_RETRIES": "4"}
    assert load(Settings, file=None, environ=environ, known_variables={"OUTRIDER_CENTER_URL"}).retries == 4


def test_a_table_must_be_a_table(write: Write) -> None:
    """A plain value in place of a table is told, with how to write one."""
    path = write("peer = 1")
    with pytest.raises(ConfigError, match=r"peer .* must be a table: write \[peer\]"):
        load(Settings, file=path, environ={})


def test_what_is_required_is_asked_for(write: Write) -> None:
    """A setting without a default is asked for, with the variable and the key that set it."""
    path = write("")
    with pytest.raises(ConfigError) as caught:
        load(Required, file=path, environ={})
    assert caught.value.problems == (
        f"url is not set: set OUTRIDER_URL or write url in {path}. Allowed: text",
    )
    with pytest.raises(ConfigError, match=r"^url is not set: set OUTRIDER_URL\. Allowed: text$"):
        load(Required, file=None, environ={})
    assert load(Required, file=None, environ={"OUTRIDER_URL": "x"}) == Required(url="x", peer=Peer())


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"retries = ", "is not valid TOML: Invalid value"),
        (b"a = '\xff'", "is not UTF-8 text, see byte 5"),
        (b"#" * 2_000_000, "can't be read: it is larger than"),
    ],
)
def test_a_broken_file_is_explained(tmp_path: Path, content: bytes, problem: str) -> None:
    """A file that is no settings file is named with what is wrong, beside the environment's problems."""
    path = tmp_path / "broken.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load(Required, file=path, environ={"OUTRIDER_QQQ": ""})
    assert caught.value.problems[0] == "unknown variable 'OUTRIDER_QQQ'"
    assert caught.value.problems[1].startswith(f"{path} {problem}")
    assert len(caught.value.problems) == 2


def test_a_missing_file_is_explained(tmp_path: Path) -> None:
    """A file that was named but is not there is an error, not an empty file."""
    with pytest.raises(ConfigError, match=r"nowhere\.toml can't be read: No such file"):
        load(Settings, file=tmp_path / "nowhere.toml", environ={})


def test_a_struct_has_the_last_word() -> None:
    """What the settings' own check refuses is a ConfigError with the check's text, in a table and on top."""

    class Range(msgspec.Struct, frozen=True):
        low: int = 0
        high: int = 1

        def __post_init__(self) -> None:
            if self.low > self.high:
                msg = "low must not exceed high"
                raise ValueError(msg)

    class Outer(msgspec.Struct, frozen=True):
        range: Range = Range()

    with pytest.raises(ConfigError, match=r"^low must not exceed high$"):
        load(Range, file=None, environ={"OUTRIDER_LOW": "5"})
    with pytest.raises(ConfigError, match=r"^range: low must not exceed high$"):
        load(Outer, file=None, environ={"OUTRIDER_RANGE_LOW": "5"})


def test_settings_that_can_not_be_named_are_a_mistake() -> None:
    """Tables within tables, and two settings with one variable, are refused as errors of the program."""

    class Deep(msgspec.Struct):
        settings: Settings

    class Double(msgspec.Struct):
        peer: Peer
        peer_port: int = 1

    with pytest.raises(TypeError, match="one level deep"):
        load(Deep, file=None, environ={})
    with pytest.raises(TypeError, match="share a variable"):
        variables(Double)


def test_settings_describe_themselves() -> None:
    """Each setting tells its name, variable, type, default and meaning, tables included."""
    described = {setting.name: setting for setting in describe(Settings)}
    assert described["home"] == Setting("home", "OUTRIDER_HOME", "a path", "/var/lib/x", "The data folder.")
    assert described["peer.port"] == Setting(
        "peer.port",
        "OUTRIDER_PEER_PORT",
        "a whole number (at least 1 and at most 65535)",
        "4000",
        "The peer port.",
    )
    assert described["peer.listen"].doc == "Where peers connect."
    assert described["verbose"].default == "false"
    assert described["colour"].default == "red"
    assert described["tls_listen"].default == ""
    assert {setting.variable for setting in described.values()} == variables(Settings)
    assert describe(Required)[0].default is None


def test_each_setting_is_told_with_its_value() -> None:
    """In the order in which they are described; a table's own default counts as one."""
    told = tell(Settings(retries=9, proxies=["a", "b"], peer=Peer(port=3841)))
    assert [value.setting for value in told] == describe(Settings)
    assert {value.setting.name: value.shown for value in told if not value.is_default} == {
        "retries": "9",
        "proxies": "a, b",
        "peer.port": "3841",
    }
    assert all(value.is_default for value in tell(Settings()))
