"""Helpers without a word of ours: supervise, clock, retry, config, log, sse, rate limit."""
