"""complaints: receives each complaint once, triages it, promises an answer and follows it to the end.

owns      recovery.complaints.v1, recovery.vault.v1; the life of a complaint
consumes  recovery.intake.v1 (complaint: raised; customer: described, purchased; disruption: announced; touchpoint: passed),
          recovery.compensation.v1 (check: issued, voided, expired, suspended, resumed; redemption: captured,
          rolledback; offer: made, chosen, lapsed; complaint: logged; shift: started, ended;
          incident: opened, closed),
          recovery.notifier.v1 (feedback: received; message: sent, failed, said; preferences: changed),
          recovery.vault.v1 (customer-key: created, destroyed),
          recovery.policy.v1 (policy: published), recovery.roster.v1 (employee: listed),
          recovery.deadletters.v1 (dead-letter: replayed, discarded)
emits     recovery.complaints.v1 (complaint: received, repeated, triaged, corrected, claimed, confirmed,
          reopened, overdue, closed, withdrawn, unfounded, referred, merged, split, forgotten; matter: changed; safety: found;
          handover: offered, accepted, declined; info: asked, received; resolution: recorded;
          fix: asked, done, declined, late; cause: named; cause-action: taken; praise: received, repeated; touchpoint: asked, answered; promise: warned; words: added, expired;
          confirmation: asked, failed, given; contact: changed;
          profile: recorded; customer: returned, erased; erasure: certified; complaints-replay: taken),
          recovery.vault.v1 (customer-key: created, rewrapped, destroyed)
never     decides what a customer gets; waits for another service; keeps words in clear
"""
