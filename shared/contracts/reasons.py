"""Every reason code that the product answers with; also the `type` of a problem.

One code means one thing everywhere: in a problem, in a dead letter's header, in a metric label.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class Reason(StrEnum):
    """Why something was refused, or cannot be done now.

    Each code has the one status it is answered with over HTTP, and what it means to whoever meets it.
    The server refuses some requests before it has read them, with a status of its own.
    """

    status: int
    meaning: str

    def __new__(cls, code: str, status: int, meaning: str) -> Self:
        """A member that is its code as text."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.status = status
        member.meaning = meaning
        return member

    # fmt: off
    # A message or request is wrong and stays wrong.
    MALFORMED_BYTES = "malformed_bytes", 400, "The message is not JSON."
    INVALID_UTF8 = "invalid_utf8", 422, "The message is not UTF-8."
    MISSING_ID = "missing_id", 422, "The event has no id, so a repeat could not be told from a new one."
    CONFLICTING_REPEAT = "conflicting_repeat", 422, "Another complaint came before under the same source and id."
    UNKNOWN_TYPE = "unknown_type", 422, "The event type is not one this topic carries."
    SCHEMA_INVALID = "schema_invalid", 422, "A field is missing, of the wrong type or out of its bounds."
    TOO_LARGE = "too_large", 413, "The whole message or request is longer than allowed. A text that is too long for its field is `schema_invalid`."
    TIME_OUT_OF_RANGE = "time_out_of_range", 422, "A time lies too far in the past or in the future."
    PERIOD_REVERSED = "period_reversed", 422, "The period ends before it begins."
    PERIOD_TOO_LONG = "period_too_long", 422, "The period has more days than one answer covers."
    UNKNOWN_SITE = "unknown_site", 404, "No policy was published for this site, or it is not yours."
    UNKNOWN_COMPLAINT = "unknown_complaint", 404, "There is no such complaint, or it is not yours to see."
    UNKNOWN_CUSTOMER = "unknown_customer", 404, "There is no such customer, or they never complained at your site."
    CUSTOMER_ERASED = "customer_erased", 409, "The customer was erased: nothing can be given, shown or sent under their reference any more."
    VERSION_MISSING = "version_missing", 428, "The header If-Match is missing: it says which version is changed, by the ETag of what was read."
    CHANGED_MEANWHILE = "changed_meanwhile", 412, "What is to be changed is no longer as it was read: read it again."
    UNKNOWN_CHECK = "unknown_check", 404, "There is no such check, or it is not yours to see."
    UNKNOWN_MESSAGE = "unknown_message", 404, "There is no such message, or it is not yours to see."
    NOT_FAILED = "not_failed", 409, "The message has not failed, or goes on by another channel, so that it is not sent again."
    ALREADY_RESENT = "already_resent", 409, "The message was sent again before, as another one; that one may be sent again if it fails."
    UNKNOWN_EMPLOYEE = "unknown_employee", 403, "The roster does not list this employee as active at this site."
    UNKNOWN_ROUTE = "unknown_route", 404, "There is nothing at this address."
    METHOD_NOT_ALLOWED = "method_not_allowed", 405, "The address exists, and not for this method."
    CURRENCY_UNKNOWN = "currency_unknown", 422, "The currency is not the site's."
    AMOUNT_NOT_OFFERED = "amount_not_offered", 422, "This item or amount is not in the site's catalogue, or was not offered."
    IDEMPOTENCY_KEY_MISSING = "idempotency_key_missing", 400, "The header Idempotency-Key is missing, or not of the form that is taken."
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused", 422, "The key was used for a different request."
    ALREADY_ANSWERED = "already_answered", 409, "The customer has answered this question before."
    LINK_INVALID = "link_invalid", 404, "The customer's link is damaged, expired or for something else."
    UNKNOWN_OFFER = "unknown_offer", 404, "There is no such offer, or it is not yours to see."
    UNKNOWN_REDEMPTION = "unknown_redemption", 404, "There is no such redemption, or it is not yours to see."
    UNKNOWN_INCIDENT = "unknown_incident", 404, "There is no such incident at this site, or it is about something else."
    UNKNOWN_SIGNAL = "unknown_signal", 404, "There is no such signal, or it is of another site."
    ALREADY_DISMISSED = "already_dismissed", 409, "The signal was dismissed before."
    ALREADY_CLAIMED = "already_claimed", 409, "The complaint has an owner; `employee_id` says who."
    WRONG_STATE = "wrong_state", 409, "This cannot be done with a complaint where it stands; `state` says where, `can` what can be done, and of two complaints `complaint_id` which."
    COMPLAINT_MERGED = "complaint_merged", 409, "The complaint was merged into another one, which goes on for both; `complaint_id` says which."
    NOT_MERGEABLE = "not_mergeable", 409, "The two cannot be merged this way: they are one already, others were merged into the first, too many into the second, only the first is about danger, or they are of different customers and not about the same; `differs` says so then."
    NOT_OFFERED = "not_offered", 409, "Nobody offers you the complaint, or not any more; `colleague_id` or `department` says who it is offered to."
    UNKNOWN_COLLEAGUE = "unknown_colleague", 422, "The roster lists no such active employee of the site, or it is you, as `because` says then; `colleagues` are some of those it lists."
    UNKNOWN_DEPARTMENT = "unknown_department", 422, "The site's policy has no such department; `departments` says which it has."
    UNKNOWN_BODY = "unknown_body", 422, "The site's policy has no such outside body; `bodies` says which it has."
    UNKNOWN_FIX = "unknown_fix", 422, "The site's policy has no such fix; `fixes` says which it has."
    FIX_ASKED = "fix_asked", 409, "Somebody is asked for this fix already; the complaint says who."
    FIX_DONE = "fix_done", 409, "This fix is on record as done in this round; the complaint says by whom."
    FIX_NOT_ASKED = "fix_not_asked", 409, "Nobody asks you for this fix, or not any more; `colleague_id` or `department` says who is asked."
    UNKNOWN_OCCASION = "unknown_occasion", 422, "The site's policy has no such occasion for delight; `occasions` says which it has."
    UNKNOWN_CAUSE = "unknown_cause", 422, "The site's policy has no such cause; `causes` says which it has."
    CAUSE_NAMED = "cause_named", 409, "The complaint is put down to this cause already."
    NO_INCIDENT = "no_incident", 409, "The site's policy has no check to give in an incident."
    NO_REGIME = "no_regime", 422, "No regime of the site covers this reason and service, so nothing is due by law."
    CONSENT_REQUIRED = "consent_required", 409, "The law gives money; anything else needs the customer's recorded consent."
    ALREADY_COMPENSATED = "already_compensated", 409, "A colleague gave something a moment ago, or an offer of theirs is open; or the customer has the group check."
    CHECK_ENDED = "check_ended", 409, "The check ended, is held or redeemed, or is already as it should become."
    NOTHING_TO_EXPLAIN = "nothing_to_explain", 409, "The check was within the ceilings, or was explained before."
    NOTHING_TO_PRAISE = "nothing_to_praise", 409, "The check was no stretch, or was taken back."
    ALREADY_PRAISED = "already_praised", 409, "Somebody said before that the stretch was a good call."
    CODE_NOT_REDEEMABLE = "code_not_redeemable", 409, "A wrong code, one of another site, or a check that is used, suspended or over."
    OWN_CHECK = "own_check", 409, "An employee cannot redeem a check that they gave themselves; a till or a colleague can."
    NOT_VALID_HERE = "not_valid_here", 409, "The check is of this site and taken at other tills of it."
    NOT_IN_PARTS = "not_in_parts", 409, "The check is redeemed whole and not in parts."
    AMOUNT_MISSING = "amount_missing", 409, "A percentage: the till says what it takes off. The answer says the percentage and its largest bill and discount."
    AMOUNT_TOO_LARGE = "amount_too_large", 409, "More than is left on the check, or than the till holds; `left_minor` says how much may be taken now."
    ON_HOLD = "on_hold", 409, "What is left is held by a reservation until that is captured, cancelled or over."
    HOLD_GONE = "hold_gone", 409, "The till holds nothing under this id any more."
    NOT_CAPTURED = "not_captured", 409, "Nothing was redeemed under this id, or it cannot be put back any more."
    CODE_WRONG = "code_wrong", 409, "The one-time code is wrong, was used, or its time or its tries are over."
    OFFER_CLOSED = "offer_closed", 409, "The customer chose before, or the time to choose is over."
    INCIDENT_OPEN = "incident_open", 409, "An incident about this is open at the site already."
    INCIDENT_CLOSED = "incident_closed", 409, "The incident is over; later complaints are their own."
    CURSOR_INVALID = "cursor_invalid", 422, "The cursor is none that a list gave."
    NO_CONTACT = "no_contact", 422, "The customer left no address, so there is nowhere to write to; where `ask` says `in_person`, an employee can ask them."
    ADDRESS_REFUSED = "address_refused", 422, "The provider does not accept the address."
    NO_ADDRESS_ON_CHANNEL = "no_address_on_channel", 422, "The customer has no address on this channel, and is told by the next, if there is one."
    NOT_DELIVERED = "not_delivered", 422, "The provider accepted the message, and reported later that it could not be delivered."
    UNKNOWN_PROVIDER = "unknown_provider", 404, "The notifier's file has no provider of this name, or none for the channel."
    UNKNOWN_MAILBOX = "unknown_mailbox", 422, "The policy names a role mailbox that the notifier's file does not have."
    UNKNOWN_ENDPOINT = "unknown_endpoint", 422, "The operator's file has no endpoint of this name any more."
    ENDPOINT_GONE = "endpoint_gone", 422, "The endpoint said that it is gone (410), and is told nothing more."
    ENDPOINT_REFUSED = "endpoint_refused", 422, "The endpoint refused the webhook, or answered with a redirect, which is not followed."
    ENDPOINT_ADDRESS_REFUSED = "endpoint_address_refused", 422, "The endpoint's name means an address that is not of the public internet."
    NO_LONGER_TRUE = "no_longer_true", 422, "When the letter was to go, what it says was no longer true, so that it was not sent."
    NOT_WANTED = "not_wanted", 422, "The customer does not want to be told of this."
    OTHER_CHANNEL = "other_channel", 422, "The customer wants to be told by another channel, by which the message goes."
    QUIET_HOURS = "quiet_hours", 422, "The customer is not disturbed at this hour; the message goes when the quiet hours end."
    ENOUGH_TODAY = "enough_today", 422, "The customer was told as much today as the site's policy wants; the message goes in the next day's digest, or not at all if it only asks how something was."
    TOO_MANY_LETTERS = "too_many_letters", 422, "Today's letters of this kind to this address, or because of this sender, are used up."
    UNAUTHENTICATED = "unauthenticated", 401, "The token is missing, expired, good for too long, for somebody else or badly signed."
    NOT_SIGNED_IN = "not_signed_in", 401, "Nobody is signed in at this browser, or the session has ended: sign in again."
    SIGN_IN_REFUSED = "sign_in_refused", 400, "The sign-in was begun elsewhere or too long ago, or the issuer refuses it."
    CROSS_SITE = "cross_site", 403, "The request comes from a page of another site, which may not ask for this."
    FORBIDDEN = "forbidden", 403, "This kind of principal may not do that."
    DEAD_LETTER_UNREADABLE = "dead_letter_unreadable", 422, "A dead letter cannot be opened: it was sealed under another master key, or changed."
    HANDLER_FAILED = "handler_failed", 500, "A defect of ours; the message is kept and an alarm was raised."
    TOO_MANY_RUNS = "too_many_runs", 429, "Drafts of the policy were tried as often as one site may on one day."
    TOO_MANY_VERSIONS = "too_many_versions", 429, "The policy of the site was published as often as it may be in 24 hours."
    HISTORY_TOO_LONG = "history_too_long", 422, "More facts lie in this time than one run reads; a shorter time may fit."
    TOO_MANY_CODES = "too_many_codes", 429, "One-time codes were asked for as often as one complaint may in a day."
    TOO_MANY_WORDS = "too_many_words", 429, "The customer added as much by their link as one complaint takes in a day."
    TOO_MANY_COMPLAINTS = "too_many_complaints", 429, "The open form was sent from one address, or about one place, as often as it is taken in a few minutes; `until` says when it is taken again."
    # A check that does not fit; the answer says what does.
    AUTHORITY_EXHAUSTED = "authority_exhausted", 409, "The wish does not fit what is left; the answer says what does."
    # Something is down or not ready; the same request may succeed later.
    STORE_UNAVAILABLE = "store_unavailable", 503, "The store does not answer."
    STORE_FULL = "store_full", 503, "The store is at its memory limit; it takes writes again once the outbox is published."
    STORE_NOT_COPIED = "store_not_copied", 503, "The store's replicas do not take copies in time; the write may have happened, so repeat it with its key."
    STORE_STALE = "store_stale", 503, "The store lost data and must be rebuilt from the topics first."
    STORE_UNREADABLE = "store_unreadable", 503, "The store was written by another version of the service, which this one cannot read."
    OUTBOX_FULL = "outbox_full", 503, "The broker has been away for longer than can be held."
    CONTENDED = "contended", 503, "Others changed the same thing at the same moment, again and again."
    KEY_NOT_YET_KNOWN = "key_not_yet_known", 503, "The customer's key has not arrived yet."
    WRAPPING_KEY_MISSING = "wrapping_key_missing", 503, "A customer's key was wrapped by a key that the service was not given."
    MAIL_UNAVAILABLE = "mail_unavailable", 503, "The mail provider does not take the message now."
    SMS_UNAVAILABLE = "sms_unavailable", 503, "The provider of text messages does not take the message now."
    FATE_UNKNOWN = "fate_unknown", 503, "The provider fell silent twice, so that the message may have arrived; it is not sent by this channel again."
    ENDPOINT_UNAVAILABLE = "endpoint_unavailable", 503, "The endpoint of a webhook does not answer in time, or takes nothing now."
    LOG_UNAVAILABLE = "log_unavailable", 503, "Kafka does not answer, and the request reads recorded facts."
    ISSUER_UNAVAILABLE = "issuer_unavailable", 503, "The issuer that employees sign in at does not answer as it should."
    SERVICE_UNAVAILABLE = "service_unavailable", 503, "The service that the request is for does not answer."
    RUN_UNDER_WAY = "run_under_way", 503, "This process tries a draft already; it tries one at a time."
    TOO_SLOW = "too_slow", 408, "The request did not arrive in time; it was not read to its end."
    OVERLOADED = "overloaded", 503, "Too many connections wait, and this request was not read to its end; or too many streams are open."
    TOO_MANY_TRIES = "too_many_tries", 429, "This till showed too many codes that cannot be redeemed; it may go on in a minute."
    STORY_NOT_YET_KNOWN = "story_not_yet_known", 503, "A fact arrived before the complaint, check or offer it is about."
    POLICY_NOT_YET_KNOWN = "policy_not_yet_known", 503, "A fact arrived before the policy of its site."
    STILL_KEPT = "still_kept", 503, "Topics still hold records from before the erasure, or backups may, so it is not certified yet."
    STREAM_BEHIND = "stream_behind", 503, "What others published is not read to its end yet."
    # fmt: on
