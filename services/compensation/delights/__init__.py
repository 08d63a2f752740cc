"""Delight: a check on a happy occasion, or on a bad day, without a complaint and from a budget of its own."""
