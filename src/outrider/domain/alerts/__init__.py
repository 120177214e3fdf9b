"""Alerts: when a rule fires for a host, and what of it is told to whom how often."""
