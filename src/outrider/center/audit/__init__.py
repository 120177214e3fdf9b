"""The audit log as people read it: lists, verification, export."""
