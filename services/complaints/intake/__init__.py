"""Receives a complaint, once."""
