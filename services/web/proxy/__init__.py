"""Requests that are passed to the service that answers them."""
