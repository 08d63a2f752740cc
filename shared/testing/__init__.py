"""Doubles that pass the suites of the real parts: store, clock, ids. For tests, never for production."""
