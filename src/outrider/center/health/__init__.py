"""Is the center well: health, readiness, figures for Prometheus."""
