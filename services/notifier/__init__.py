"""notifier: tells customers, asks "did it help?", records the answer; tells role mailboxes about safety.

owns      recovery.notifier.v1; what customers were told and answered
consumes  recovery.complaints.v1 (received, triaged, reopened), recovery.compensation.v1 (issued, what
          ends or changes a check, offered, safety noted), recovery.vault.v1, recovery.policy.v1
emits     message queued, attempted, delayed, sent, failed; safety routed; feedback received
never     decides what a customer gets; drops a message silently; keeps an address in clear
"""
