"""The console's built files, and how they are served."""
