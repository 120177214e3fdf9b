"""What `./dev` does. It runs before anything is installed, so it uses the standard library only."""
