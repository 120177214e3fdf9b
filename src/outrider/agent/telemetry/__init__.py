"""The readings of this host: taken every five seconds, kept for an hour; by the minute until confirmed."""
