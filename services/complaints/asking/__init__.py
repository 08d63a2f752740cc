"""One short question after a moment of a customer's journey: how was it, and how much does it matter to them?"""
