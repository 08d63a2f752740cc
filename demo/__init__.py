"""The demo: the whole loop once, for real, on a stack of its own."""
