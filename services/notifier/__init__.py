"""notifier: tells customers, asks "did it help?", records the answer; tells employees, partners, and role mailboxes about safety.

owns      recovery.notifier.v1; what customers were told and answered; the inboxes of employees
consumes  recovery.complaints.v1 (complaint: received, triaged, claimed, reopened, merged, split, overdue, confirmed,
          closed, withdrawn, unfounded, referred, corrected, forgotten; handover: offered, accepted, declined; fix: asked, done;
           info: asked, received; resolution: recorded; promise: warned; praise: received; touchpoint: asked;
           safety: found; confirmation: asked; contact: changed; customer: erased),
          recovery.compensation.v1 (check: issued, voided, expired, suspended, resumed;
          redemption: captured, rolledback; offer: made; safety: noted; incident: opened, joined, giving, closed),
          recovery.vault.v1 (customer-key: created, rewrapped, destroyed), recovery.policy.v1 (policy: published),
          recovery.roster.v1 (employee: listed), recovery.deadletters.v1 (dead-letter: replayed, discarded)
emits     recovery.notifier.v1 (message: queued, attempted, delayed, deferred, sent, failed, delivered, bounced, said;
          preferences: changed; safety: routed, seen, retold, unseen;
           feedback: received; survey: answered; employee: thanked, praised, notified; inbox: read;
          webhook: queued, attempted, delayed, delivered, dropped, disabled; notifier-replay: taken); as second writer
          recovery.vault.v1 (customer-key: created)
never     decides what a customer gets; drops a message silently; keeps an address in clear
"""
