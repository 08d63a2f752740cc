"""compensation: employees give service checks, granted at once within exact limits.

owns      recovery.compensation.v1; accounts of authority and budgets, service checks from issue to end
consumes  recovery.complaints.v1 (complaint: triaged, corrected, reopened, withdrawn, unfounded, merged, split, forgotten;
          matter: changed; safety: found; customer: erased),
          recovery.roster.v1 (employee: listed), recovery.vault.v1 (customer-key: created, rewrapped, destroyed),
          recovery.policy.v1 (policy: published), recovery.notifier.v1 (preferences: changed),
          recovery.deadletters.v1 (dead-letter: replayed, discarded)
emits     recovery.compensation.v1 (check: issued, refused, explained, unexplained, praised, voided,
          expired, suspended, resumed; redemption: reserved, captured, cancelled, rolledback;
          offer: made, chosen, lapsed; case: opened; complaint: logged; safety: noted;
          incident: opened, joined, giving, given, closed; window: opened, closed;
          authority: opened, counted; shift: started, ended; policy: tried;
          compensation-replay: taken); as second writer
          recovery.roster.v1 (employee: listed), recovery.policy.v1 (policy: published) and recovery.vault.v1 (customer-key: created)
never     asks anybody's permission; sends anything to a customer; knows what a complaint says
"""
