"""Users, signing in and sessions."""
