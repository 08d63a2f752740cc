"""Stretches of a site that somebody may praise, without who gave them."""
