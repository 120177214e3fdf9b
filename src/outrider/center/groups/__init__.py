"""Groups of agents and the profiles they get."""
