"""compensation: what an employee may give, given at once, within exact limits.

owns      recovery.compensation.v1; accounts of authority and budgets, service checks
consumes  recovery.complaints.v1 (triaged, reopened), recovery.vault.v1, recovery.policy.v1
emits     issued, refused
never     asks anybody's permission; sends anything to a customer; knows what a complaint says
"""
