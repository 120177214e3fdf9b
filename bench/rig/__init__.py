"""What the benchmarks share: real programs started on homes of their own, simulated agents, figures."""
