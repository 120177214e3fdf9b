"""The words of Outrider and its pure rules: no I/O, no clock, no database."""
