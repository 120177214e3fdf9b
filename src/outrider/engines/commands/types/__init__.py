"""The host's side of the command types: one file each, listed in `engine.BEGIN`."""
