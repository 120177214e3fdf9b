"""Benchmarks: each is a program that prints its figure beside its budget (`./dev bench NAME`)."""
