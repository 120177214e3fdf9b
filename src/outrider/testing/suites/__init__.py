"""Suites: what every implementation of a seam must do. A test class inherits one and provides the part."""
