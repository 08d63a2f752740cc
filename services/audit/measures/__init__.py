"""Measures: figures of sites by day, counted from records as accounts."""
