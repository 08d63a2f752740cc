"""Lists complaints for the employees of a site: what hurts most and is due first on top."""
