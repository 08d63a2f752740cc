"""Causes: what makes things go wrong at a site, what was done about it, and whether it came back."""
