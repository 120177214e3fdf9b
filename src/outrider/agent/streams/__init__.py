"""What the center may stream from this host, one file for each kind."""
