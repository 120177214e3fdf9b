"""The center's settings as they may be shown."""

import msgspec
import pytest

from outrider.center.configuration.told import told
from outrider.center.settings import CenterSettings, OidcSettings
from outrider.kit.config import describe

SECRET = "no-one-may-see-this"


def shown(settings: CenterSettings) -> dict[str, str]:
    """Values by name."""
    return {each.name: each.value for each in told(settings)}


def test_every_setting_is_told() -> None:
    """None is left out; what nobody has set is told as that."""
    views = told(CenterSettings())
    assert [each.name for each in views] == [each.name for each in describe(CenterSettings)]
    assert all(each.is_default for each in views)
    changed = told(CenterSettings(session_hours=2.0))
    assert [(each.name, each.value, each.default) for each in changed if not each.is_default] == [
        ("session_hours", "2.0", "24.0")
    ]


@pytest.mark.parametrize(
    "settings",
    [
        CenterSettings(admin_password=SECRET),
        CenterSettings(database_url=f"postgresql://outrider:{SECRET}@db/outrider?password={SECRET}"),
        CenterSettings(database_url=f"postgresql://{SECRET}@db/outrider#{SECRET}"),
        CenterSettings(
            oidc=OidcSettings(issuer="https://id.example", client_id="x", client_secret=SECRET),
        ),
    ],
)
def test_no_secret_is_told(settings: CenterSettings) -> None:
    """Only that there is one, and the address around it."""
    assert SECRET not in msgspec.json.encode(told(settings)).decode()
    values = shown(settings)
    assert "***" in "".join(values.values())
    assert not values["database_url"] or values["database_url"].startswith("postgresql://***@db/outrider?***")


def test_places_of_secrets_are_told() -> None:
    """Where a key lies is no secret, and often what somebody looks for."""
    views = {each.name: each for each in told(CenterSettings())}
    assert views["deploy_keys"].value == "~/.ssh"
    assert not views["tls_key"].is_secret
    assert views["master_key"].is_secret
