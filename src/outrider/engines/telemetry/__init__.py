"""What a host can say of itself: its facts, its load, which machine it is."""
