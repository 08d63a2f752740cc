"""Knows who of a site is on shift, and who takes over from somebody who is not."""
