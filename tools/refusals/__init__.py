"""What the linters can't see and this tree refuses; each rule is one function in `rules`."""
