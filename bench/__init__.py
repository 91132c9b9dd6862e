"""Benchmarks: each a command that prints ratios against something in the same run."""
