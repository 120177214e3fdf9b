"""Deployments: the agent is brought to hosts over SSH."""
