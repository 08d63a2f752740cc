"""Benchmarks: rates of the product and of peers that do less, as ratios from one run on one machine."""
