"""Service checks: given, explained, taken back, ended."""
