"""What makes the console: its types and its build."""
