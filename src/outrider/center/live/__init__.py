"""What people see live: the event log and the streams that carry it."""
