"""Fakes we ship, and the suites that prove each fake behaves like the real part."""
