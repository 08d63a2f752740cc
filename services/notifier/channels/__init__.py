"""The ways a message takes."""
