"""The state of a service made again from the topics."""
