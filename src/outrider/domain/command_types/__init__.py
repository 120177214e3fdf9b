"""The command types: one file each, one registry. The host's side lives in `engines/commands`."""

from outrider.domain.command_types.registry import REGISTRY, CommandType, describe, for_audit, parse_params

__all__ = ["REGISTRY", "CommandType", "describe", "for_audit", "parse_params"]
