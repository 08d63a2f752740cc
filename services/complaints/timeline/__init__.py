"""One timeline per complaint: what everybody added to it, for employees and for its customer."""
