"""Bundles of the agent: made, kept, offered to hosts."""
