"""Every reason code the product answers with: closed, snake_case, the `type` of a problem.

One code means one thing everywhere: in a problem, in a dead letter's header, in a metric label.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why something was refused, or cannot be done now."""

    # A message or request is wrong and stays wrong.
    MALFORMED_BYTES = "malformed_bytes"
    INVALID_UTF8 = "invalid_utf8"
    MISSING_ID = "missing_id"
    CONFLICTING_REPEAT = "conflicting_repeat"
    UNKNOWN_TYPE = "unknown_type"
    SCHEMA_INVALID = "schema_invalid"
    TOO_LARGE = "too_large"
    TIME_OUT_OF_RANGE = "time_out_of_range"
    UNKNOWN_SITE = "unknown_site"
    UNKNOWN_COMPLAINT = "unknown_complaint"
    UNKNOWN_CHECK = "unknown_check"
    UNKNOWN_EMPLOYEE = "unknown_employee"
    UNKNOWN_ROUTE = "unknown_route"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    CURRENCY_UNKNOWN = "currency_unknown"
    AMOUNT_NOT_OFFERED = "amount_not_offered"
    IDEMPOTENCY_KEY_MISSING = "idempotency_key_missing"
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused"
    ALREADY_ANSWERED = "already_answered"
    LINK_INVALID = "link_invalid"
    UNKNOWN_OFFER = "unknown_offer"
    UNKNOWN_REDEMPTION = "unknown_redemption"
    UNKNOWN_INCIDENT = "unknown_incident"
    NO_INCIDENT = "no_incident"
    NO_REGIME = "no_regime"
    CONSENT_REQUIRED = "consent_required"
    ALREADY_COMPENSATED = "already_compensated"
    CHECK_ENDED = "check_ended"
    NOTHING_TO_EXPLAIN = "nothing_to_explain"
    CODE_NOT_REDEEMABLE = "code_not_redeemable"
    NOT_VALID_HERE = "not_valid_here"
    NOT_IN_PARTS = "not_in_parts"
    AMOUNT_TOO_LARGE = "amount_too_large"
    HOLD_GONE = "hold_gone"
    NOT_CAPTURED = "not_captured"
    OFFER_CLOSED = "offer_closed"
    INCIDENT_OPEN = "incident_open"
    INCIDENT_CLOSED = "incident_closed"
    CURSOR_INVALID = "cursor_invalid"
    NO_CONTACT = "no_contact"
    ADDRESS_REFUSED = "address_refused"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    HANDLER_FAILED = "handler_failed"
    # A wish that does not fit; the answer says what does.
    AUTHORITY_EXHAUSTED = "authority_exhausted"
    # The world is down or not ready; the same thing may work later.
    STORE_UNAVAILABLE = "store_unavailable"
    STORE_FULL = "store_full"
    STORE_STALE = "store_stale"
    OUTBOX_FULL = "outbox_full"
    CONTENDED = "contended"
    KEY_NOT_YET_KNOWN = "key_not_yet_known"
    MAIL_UNAVAILABLE = "mail_unavailable"
    TOO_SLOW = "too_slow"
    OVERLOADED = "overloaded"
    TOO_MANY_TRIES = "too_many_tries"
    STORY_NOT_YET_KNOWN = "story_not_yet_known"
    POLICY_NOT_YET_KNOWN = "policy_not_yet_known"
    STREAM_BEHIND = "stream_behind"
