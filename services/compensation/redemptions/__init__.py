"""Codes at tills."""
