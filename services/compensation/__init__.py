"""compensation: employees give service checks, granted at once within exact limits.

owns      recovery.compensation.v1; accounts of authority and budgets, service checks from issue to end
consumes  recovery.complaints.v1 (triaged, reopened), recovery.roster.v1, recovery.vault.v1,
          recovery.policy.v1
emits     checks (issued, refused, explained, voided, expired, suspended), redemptions, offers,
          incidents, safety, shifts, figures of windows; also employees and keys, as second writer
never     asks anybody's permission; sends anything to a customer; knows what a complaint says
"""
