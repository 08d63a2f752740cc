"""The board of a site: today at a glance, what is open, what is at risk."""
