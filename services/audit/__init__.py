"""audit: one chained record of every fact, signed heads that nobody can bend it behind, and measures.

owns      recovery.audit.v1, recovery.heads.v1 and recovery.notices.v1; a chain of records per source partition; the
          measures of sites, counted from records; the boards that show them with what is open and at risk
consumes  recovery.complaints.v1 (complaint: received, repeated, triaged, corrected, claimed, confirmed,
          reopened, overdue, closed, withdrawn, unfounded, referred, merged, split, forgotten; matter: changed; safety: found;
          handover: offered, accepted, declined; info: asked, received; resolution: recorded;
          fix: asked, done, declined, late; cause: named; cause-action: taken; praise: received, repeated; touchpoint: asked, answered; promise: warned; words: added, expired;
          confirmation: asked, failed, given; contact: changed;
          profile: recorded; customer: returned, erased; erasure: certified; complaints-replay: taken),
          recovery.compensation.v1 (check: issued, refused, explained, unexplained, praised, voided,
          expired, suspended, resumed; redemption: reserved, captured, cancelled, rolledback;
          offer: made, chosen, lapsed; case: opened; complaint: logged; safety: noted;
          incident: opened, joined, giving, given, closed; window: opened, closed;
          authority: opened, counted; shift: started, ended; policy: tried;
          compensation-replay: taken),
          recovery.notifier.v1 (message: queued, attempted, delayed, deferred, sent, failed, delivered, bounced, said;
          preferences: changed; safety: routed, seen, retold, unseen;
          feedback: received; survey: answered; employee: thanked, praised, notified; inbox: read;
          webhook: queued, attempted, delayed, delivered, dropped, disabled; notifier-replay: taken),
          recovery.vault.v1 (customer-key: created, rewrapped, destroyed),
          recovery.policy.v1 (policy: published), recovery.roster.v1 (employee: listed),
          recovery.deadletters.v1 (dead-letter: opened, replayed, discarded), recovery.topics.v1 (topic: raised)
emits     recovery.audit.v1 (fact: recorded; gap: recorded), recovery.heads.v1 (heads: signed),
          recovery.notices.v1 (look: taken; signal: raised, dismissed)
never     changes what others decided, or refuses anything at a counter or a till; opens what is sealed; names an employee
"""
