"""The typed client for programs without an event loop: each call waits for its answer."""
