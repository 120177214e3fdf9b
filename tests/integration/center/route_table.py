"""Every HTTP route of the center, and what it takes to call it."""

from typing import Final

from outrider.domain.roles import Role

PUBLIC: Final = "public"
AGENT: Final = "agent"
"""The route checks an agent's key or an enrolment key itself."""

ROUTES: Final[dict[tuple[str, str], Role | str]] = {
    ("POST", "/api/login"): PUBLIC,
    ("POST", "/api/logout"): Role.VIEWER,
    ("GET", "/api/session"): Role.VIEWER,
    ("GET", "/api/sessions"): Role.VIEWER,
    ("DELETE", "/api/sessions"): Role.VIEWER,
    ("DELETE", "/api/sessions/{session_id}"): Role.VIEWER,
    ("POST", "/api/password"): Role.VIEWER,
    ("POST", "/api/stream-token"): Role.VIEWER,
    ("POST", "/api/totp"): Role.VIEWER,
    ("POST", "/api/totp/confirm"): Role.VIEWER,
    ("DELETE", "/api/totp"): Role.VIEWER,
    ("GET", "/api/users"): Role.ADMIN,
    ("POST", "/api/users"): Role.ADMIN,
    ("GET", "/api/users/{user_id}"): Role.ADMIN,
    ("PATCH", "/api/users/{user_id}"): Role.ADMIN,
    ("DELETE", "/api/users/{user_id}"): Role.ADMIN,
    ("POST", "/api/users/{user_id}/password"): Role.ADMIN,
    ("DELETE", "/api/users/{user_id}/totp"): Role.ADMIN,
    ("POST", "/api/users/{user_id}/revoke-tokens"): Role.ADMIN,
    ("GET", "/api/tokens"): Role.VIEWER,
    ("POST", "/api/tokens"): Role.ADMIN,
    ("DELETE", "/api/tokens/{token_id}"): Role.VIEWER,
    ("GET", "/api/agents"): Role.VIEWER,
    ("GET", "/api/agents/{agent_id}"): Role.VIEWER,
    ("PATCH", "/api/agents/{agent_id}"): Role.OPERATOR,
    ("DELETE", "/api/agents/{agent_id}"): Role.ADMIN,
    ("POST", "/api/agents/{agent_id}/approve"): Role.ADMIN,
    ("POST", "/api/agents/{agent_id}/decline"): Role.ADMIN,
    ("POST", "/api/agents/enrol"): AGENT,
    ("POST", "/api/enrolment-keys"): Role.ADMIN,
    ("GET", "/api/enrolment-keys"): Role.ADMIN,
    ("DELETE", "/api/enrolment-keys/{key_id}"): Role.ADMIN,
    ("GET", "/api/agents/command-types"): Role.VIEWER,
    ("POST", "/api/agents/{agent_id}/commands"): Role.OPERATOR,
    ("GET", "/api/agents/{agent_id}/commands"): Role.VIEWER,
    ("GET", "/api/agents/{agent_id}/commands/{command_id}"): Role.VIEWER,
    ("POST", "/api/agents/{agent_id}/commands/{command_id}/cancel"): Role.OPERATOR,
    ("GET", "/api/agents/{agent_id}/commands/{command_id}/stream"): Role.VIEWER,
    ("POST", "/api/agents/{agent_id}/report"): AGENT,
    ("POST", "/api/targets/preview"): Role.VIEWER,
    ("GET", "/api/events"): Role.VIEWER,
    ("GET", "/api/audit"): Role.ADMIN,
    ("GET", "/api/audit/verify"): Role.ADMIN,
    ("GET", "/api/audit/export"): Role.ADMIN,
    ("GET", "/healthz"): PUBLIC,
    ("GET", "/readyz"): PUBLIC,
    ("GET", "/metrics"): PUBLIC,
    ("GET", "/api/ca"): PUBLIC,
    ("GET", "/schema"): PUBLIC,
    ("GET", "/schema/openapi.json"): PUBLIC,
    ("GET", "/schema/{path}"): PUBLIC,
}
