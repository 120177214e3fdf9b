"""Helpers without a word of ours: supervision, clock, retry, settings, logs, server-sent events, rate limits."""
