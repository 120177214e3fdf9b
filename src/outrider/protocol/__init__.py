"""What is said on the link between agent and center, and the rules of saying it. No I/O."""
