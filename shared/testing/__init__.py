"""What tests share: a store in memory and a clock, builders, a running world, traffic, auditors.

The store in memory passes the suite of the real one. For tests and the bench, never for production.
"""
