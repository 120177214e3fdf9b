"""What is read of a host, and what becomes of it: snapshots, series, minute rows, history."""
