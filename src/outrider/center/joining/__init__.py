"""The room of joining: the install script, and the lines that people paste on a host to get it."""
