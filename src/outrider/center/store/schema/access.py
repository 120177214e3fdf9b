"""Tables of the people who may sign in, and of all that they come in with."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Double, ForeignKey, LargeBinary, Table, Text, false

from outrider.center.store.schema.base import metadata

users: Final = Table(
    "users",
    metadata,
    Column("id", Text, primary_key=True),
    Column("username", Text, nullable=False, unique=True),
    # Empty for who signs in with a provider only.
    Column("password_hash", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("created", Double, nullable=False),
    Column("disabled", Boolean, nullable=False, server_default=false()),
    # Changes with the password, the role and `disabled`: what was handed out under an older one is void.
    Column("stamp", Text, nullable=False),
    Column("must_change_password", Boolean, nullable=False, server_default=false()),
)

sessions: Final = Table(
    "sessions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    Column("created", Double, nullable=False),
    Column("last_used", Double, nullable=False),
    Column("expires", Double, nullable=False, index=True),
    Column("address", Text, nullable=False, server_default=""),
    Column("client", Text, nullable=False, server_default=""),
)

api_tokens: Final = Table(
    "api_tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("created", Double, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("expires", Double, nullable=False),
    Column("last_used", Double, nullable=True),
)

second_factors: Final = Table(
    "second_factors",
    metadata,
    Column("user_id", Text, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    # Sealed. The secret that is asked for; none while the first one waits to be confirmed.
    Column("secret", LargeBinary, nullable=True),
    # Sealed. One that is shown and not confirmed yet.
    Column("pending", LargeBinary, nullable=True),
    # The step of the last code that was taken: no code counts twice.
    Column("last_step", BigInteger, nullable=False),
)

recovery_codes: Final = Table(
    "recovery_codes",
    metadata,
    Column("user_id", Text, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("code_hash", LargeBinary, primary_key=True),
)

# Whom a provider's people are here: one user for each subject of an issuer.
identities: Final = Table(
    "identities",
    metadata,
    Column("issuer", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("created", Double, nullable=False),
)
