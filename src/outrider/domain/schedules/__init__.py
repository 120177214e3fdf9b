"""When something is due: once, at intervals, or by the calendar of a time zone."""
