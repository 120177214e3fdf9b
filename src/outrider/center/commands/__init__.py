"""Commands: sending, delivery, results, history and live output."""
