"""How a customer wants to be told: when, and by what."""
