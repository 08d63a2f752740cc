"""Many complaints about one thing, answered together."""
