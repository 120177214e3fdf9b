"""The one way our commands are made, so that all of them read options alike."""

from cyclopts import App, Parameter


def make_app(name: str, *, summary: str | None = None) -> App:
    """Make an empty command. `name` is what help and errors call it, such as `outrider agents`."""
    return App(
        name=name,
        help=summary,
        version_flags=[],
        default_parameter=Parameter(negative=(), show_default=False),
    )
