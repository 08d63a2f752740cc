"""One history per complaint: what everybody added to it, for employees and for its customer."""
