"""Complaints as compensation knows them, and what their customers were given."""
