"""The policy of a site, read whole and published whole."""
