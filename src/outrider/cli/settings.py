"""`outrider settings`: how the center is set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from outrider.cli.app import make_app
from outrider.cli.connection import Where, ask
from outrider.cli.listing import AsJson, Column, show_json, show_table
from outrider.domain.errors import NotFound
from outrider.kit.nearest import nearest

if TYPE_CHECKING:
    from cyclopts import App

    from outrider.client import CenterSetting


def command() -> App:
    """Make the command."""
    app = make_app("outrider settings")
    app.default(list_settings)
    return app


def list_settings(
    *names: Annotated[str, Parameter(help="Only these: their keys in center.toml, or their variables.")],
    changed: Annotated[bool, Parameter(help="Only those that are not as they come.", negative="")] = False,
    as_json: AsJson = False,
    where: Where | None = None,
) -> None:
    """Show how the center is set. Settings are changed on its machine: in center.toml, or by variables."""
    settings = _named(ask(where, lambda center: center.settings()), names)
    if changed:
        settings = [each for each in settings if not each.is_default]
    if as_json:
        show_json(settings)
        return
    show_table(
        [Column("SETTING", whole=True), Column("VALUE"), Column("AS IT COMES"), Column("VARIABLE")],
        [
            [each.name, each.value, "" if each.is_default else each.default, each.variable]
            for each in settings
        ],
        empty="Every setting is as it comes.",
    )


def _named(settings: list[CenterSetting], names: tuple[str, ...]) -> list[CenterSetting]:
    known = {name: each for each in settings for name in (each.name, each.variable)}
    for name in names:
        if name not in known:
            guess = nearest(name, known)
            raise NotFound(f"there is no setting {name}" + (f": did you mean {guess}?" if guess else ""))
    return [known[name] for name in names] if names else settings
