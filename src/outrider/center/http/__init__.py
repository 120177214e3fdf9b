"""What all of the center's routes share: who asks, what they may, and how errors look."""
