"""A backup of everything a center knows, in one file, and bringing it back on either database."""
