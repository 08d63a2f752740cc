"""Keeps an eye on what customers were promised."""
