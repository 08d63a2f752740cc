"""The words all services share: facts, events, decisions, policy. Pydantic only, no IO."""
