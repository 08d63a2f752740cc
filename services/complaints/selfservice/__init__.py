"""What customers do by themselves, by the link in their letter."""
