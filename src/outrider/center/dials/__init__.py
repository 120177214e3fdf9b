"""Agents in listen mode: where they wait, and the dialling of them."""
