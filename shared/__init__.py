"""What every service stands on: money, contracts, the runtime that settles, operator commands."""
