"""Follows a complaint to its end."""
