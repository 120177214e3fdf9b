"""The center's settings, to be read: they are changed where the center runs."""

from litestar import Router, get
from litestar.di import NamedDependency

from outrider.center.configuration.told import SettingView, told
from outrider.center.http.callers import access
from outrider.center.http.problems import documented
from outrider.center.settings import CenterSettings
from outrider.domain.roles import Role


@get("/api/settings", opt=access(Role.ADMIN), responses=documented([401, 403]))
async def list_settings(settings: NamedDependency[CenterSettings]) -> list[SettingView]:
    """List every setting with its value; secrets are blanked."""
    return told(settings)


def router() -> Router:
    """Make the room's routes."""
    return Router("/", route_handlers=[list_settings], tags=["settings"])
