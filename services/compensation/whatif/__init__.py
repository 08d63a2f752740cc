"""What recorded wishes would have come to under a draft of the policy."""
