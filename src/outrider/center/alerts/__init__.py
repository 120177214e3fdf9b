"""Alerts: rules on targets, what they find, and the notices that tell of it."""
