"""How the center is set, told to those who may know."""
