"""notifier: tells the customer, asks "did it help?", hears the answer.

owns      recovery.notifier.v1; what customers were told and answered
consumes  recovery.complaints.v1 (received, triaged, reopened), recovery.compensation.v1 (issued, offered),
          recovery.vault.v1, recovery.policy.v1
emits     message queued, attempted, delayed, sent, failed; feedback received
never     decides what a customer gets; drops a message silently; keeps an address in clear
"""
