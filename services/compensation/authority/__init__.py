"""Accounts of authority: ceilings, windows, what is left, the stretch."""
