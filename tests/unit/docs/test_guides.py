"""The guides name what the code knows: a new setting, error or event has to be written about."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import outrider
from outrider.agent.settings import AgentSettings
from outrider.center.settings import CenterSettings
from outrider.domain.command_states import CommandState
from outrider.domain.errors import OutriderError
from outrider.kit import config

ROOT = Path(__file__).parents[3]
GUIDES = ROOT / "docs" / "guides"


def center_errors() -> Iterator[type[OutriderError]]:
    """Walk the tree of errors that the center can tell."""
    for module in pkgutil.walk_packages(outrider.__path__, "outrider."):
        if (
            module.name.startswith(("outrider.center.", "outrider.domain."))
            and "migrations" not in module.name
        ):
            importlib.import_module(module.name)
    found = [OutriderError]
    while found:
        kind = found.pop()
        found += kind.__subclasses__()
        if kind is not OutriderError and kind.__module__.startswith(("outrider.center.", "outrider.domain.")):
            yield kind


@pytest.mark.parametrize("settings", [CenterSettings, AgentSettings])
def test_every_setting_is_on_the_settings_page(settings: type[CenterSettings] | type[AgentSettings]) -> None:
    """The page has a row with each setting's name, variable and meaning."""
    page = (GUIDES / "settings.md").read_text()
    for setting in config.describe(settings):
        assert f"| `{setting.name}` | `{setting.variable}` |" in page
        assert f"| {setting.doc} |" in page


def test_every_error_code_is_in_the_reference() -> None:
    """The reference has a row for each code that a caller of the center may meet."""
    page = (GUIDES / "reference.md").read_text()
    missing = {kind.code for kind in center_errors() if f"`{kind.code}`" not in page}
    assert missing == set()


def test_every_event_is_in_the_reference() -> None:
    """The reference names each kind of event that the center's code writes."""
    page = (GUIDES / "reference.md").read_text()
    kinds = {f"command.{state.value}" for state in CommandState}
    for file in (ROOT / "src" / "outrider" / "center").rglob("*.py"):
        kinds |= set(re.findall(r"""(?:\.event\(|event=)\s*"([a-z_]+\.[a-z_]+)\"""", file.read_text()))
    assert len(kinds) > len(CommandState)
    assert {kind for kind in kinds if f"`{kind}`" not in page} == set()


def test_every_link_between_documents_leads_somewhere() -> None:
    """A relative link in a document names a file that is there."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "changelog.d").glob("*.md")]
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text())
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert broken == []
