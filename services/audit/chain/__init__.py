"""Chains of records: every fact is recorded once, and the heads of the chains are signed."""
