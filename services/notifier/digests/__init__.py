"""Many messages of a day to one customer: what can wait goes together."""
