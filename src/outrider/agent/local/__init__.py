"""The agent's local APIs: what programs on this host ask of it over HTTP."""
