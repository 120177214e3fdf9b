"""Schedules: dispatches that go out by themselves, each time exactly once."""
