"""Reports of providers, as they come over HTTP: signed as each format says, or forged."""

from __future__ import annotations

from urllib.parse import urlencode

import httpx
from pydantic_core import to_json

from shared.runtime.http.signatures import form_signature, standard_signature
from tests.suites.services import FORM_SECRET, PUBLIC_URL, REPORT_KEY, SOURCE_KEY, Aboard


async def by_form(
    aboard: Aboard, message_id: str, status: str, *, secret: str = FORM_SECRET, at: str = "first"
) -> httpx.Response:
    """A report of the provider that posts forms."""
    path = f"/v1/receipts/{at}?message={message_id}"
    fields = [("MessageSid", "SM1"), ("MessageStatus", status), ("To", "+4740000000")]
    signature = form_signature(secret, f"{PUBLIC_URL}{path}", fields)
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Twilio-Signature": signature,
    }
    async with aboard.http("notifier", "") as provider:
        return await provider.post(path, content=urlencode(fields), headers=headers)


async def by_standard(
    aboard: Aboard, at: str, body: bytes, *, key: bytes = REPORT_KEY, age_s: float = 0
) -> httpx.Response:
    """A report that is signed as Standard Webhooks says, so many seconds ago."""
    sent_at = str(round(aboard.clock().timestamp() - age_s))
    headers = {
        "webhook-id": "ev-1",
        "webhook-timestamp": sent_at,
        "webhook-signature": standard_signature(key, "ev-1", sent_at, body),
    }
    async with aboard.http("notifier", "") as provider:
        return await provider.post(f"/v1/receipts/{at}", content=body, headers=headers)


async def by_webhook(
    aboard: Aboard,
    body: object,
    webhook_id: str = "wh-1",
    *,
    source: str = "booking",
    key: bytes = SOURCE_KEY,
    age_s: float = 0,
    **changed: str,
) -> httpx.Response:
    """A complaint of another system, signed as Standard Webhooks says; `changed` are headers that are not."""
    content = body if isinstance(body, bytes) else to_json(body)
    sent_at = str(round(aboard.clock().timestamp() - age_s))
    headers = {
        "webhook-id": webhook_id,
        "webhook-timestamp": sent_at,
        "webhook-signature": standard_signature(key, webhook_id, sent_at, content),
        **{name.replace("_", "-"): text for name, text in changed.items()},
    }
    async with aboard.http("complaints", "") as system:
        return await system.post(f"/v1/webhooks/{source}", content=content, headers=headers)


async def by_json(aboard: Aboard, message_id: str, status: str, **how: object) -> httpx.Response:
    """A report of the provider that speaks JSON."""
    body = to_json({"id": message_id, "status": status})
    return await by_standard(aboard, "second", body, **how)  # type: ignore[arg-type]  # as by_standard has it
