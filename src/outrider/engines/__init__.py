"""The work done on a host, free of HTTP servers and of the center's database."""
