"""Fixes the cause of a complaint: what was done about it, and who is asked to do it."""
