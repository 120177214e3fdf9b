"""What the claims of a sign-in provider mean here: which role, which name, and who may come in."""

from collections.abc import Collection, Mapping
from typing import Any

from outrider.domain import usernames
from outrider.domain.roles import Role


def parse_mapping(entries: Collection[str]) -> dict[str, Role]:
    """Read `group=role` entries. Raises ValueError naming the entry."""
    mapping: dict[str, Role] = {}
    for entry in entries:
        group, _, role = entry.rpartition("=")
        if not group.strip() or role.strip() not in list(Role):
            message = f"role_mapping has {entry!r}: write GROUP=ROLE with a role of {', '.join(Role)}"
            raise ValueError(message)
        mapping[group.strip()] = Role(role.strip())
    return mapping


def claim(claims: Mapping[str, Any], name: str) -> Any:
    """Find a claim: by its whole name, or by a path such as `realm_access.roles`; None when there is none."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def mapped_role(claims: Mapping[str, Any], claim_name: str, mapping: Mapping[str, Role]) -> Role | None:
    """Find the highest role that the groups in a claim (one word or a list) are mapped to; None without."""
    value = claim(claims, claim_name)
    groups = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    roles = [mapping[group] for group in groups if isinstance(group, str) and group in mapping]
    return max(roles, key=list(Role).index) if roles else None


def is_from(claims: Mapping[str, Any], domains: Collection[str]) -> bool:
    """Tell whether the claims hold a verified e-mail address in one of the domains; without any, all may."""
    if not domains:
        return True
    email = claims.get("email")
    if not isinstance(email, str) or claims.get("email_verified") is not True:
        return False
    _, at, domain = email.rpartition("@")
    return bool(at) and domain.lower() in {each.lower() for each in domains}


def username(claims: Mapping[str, Any], claim_name: str) -> str | None:
    """Make a user name of a claim, else of the e-mail address, else of the subject; None when none serves."""
    for name in (claim_name, "email", "sub"):
        value = claim(claims, name)
        if isinstance(value, str) and (made := usernames.from_words(value)):
            return made
    return None
