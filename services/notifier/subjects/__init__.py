"""What messages are about, as far as it is known."""
