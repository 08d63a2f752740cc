"""complaints: receives each complaint once, triages it, promises an answer and follows it to the end.

owns      recovery.complaints.v1, recovery.vault.v1; the life of a complaint
consumes  recovery.intake.v1, recovery.compensation.v1 (issued, offered, logged),
          recovery.notifier.v1 (feedback), recovery.vault.v1, recovery.policy.v1 and
          recovery.roster.v1
emits     received, repeated, triaged, claimed, confirmed, reopened, overdue; customers' wrapped keys
never     decides what a customer gets; waits for another service; keeps words in clear
"""
