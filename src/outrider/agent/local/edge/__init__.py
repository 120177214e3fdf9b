"""The edge API (seed 003): what the containers of this host, and people on it, ask of the agent."""
