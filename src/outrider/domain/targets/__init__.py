"""Target expressions: which hosts are meant. Text, its tree, and what a tree means of one host."""
