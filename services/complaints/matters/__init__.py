"""Makes one complaint of several about the same matter, and undoes it."""
