"""What tests share: a store in memory, a clock, and builders of records.

The store in memory passes the suite of the real one. For tests and the bench, never for production.
"""
