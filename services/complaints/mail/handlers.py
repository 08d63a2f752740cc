"""Takes a mail: an answer to a letter into its complaint, everything else as a new complaint."""

from __future__ import annotations

import asyncio
import hmac
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256

from services.complaints.intake.handlers import Intake, complaint_id_of
from services.complaints.mail.accounts import ComplaintAccount
from services.complaints.mail.parts import read
from services.complaints.mail.rules import (
    CUT,
    NO_SENDER_MAX,
    SENDER_MAX,
    Mail,
    added_words,
    answer_in,
    complaint_text,
    why_not,
)
from services.complaints.selfservice.handlers import SelfService
from services.complaints.triage.handlers import Triage
from shared.contracts.complaints import (
    ComplaintRepeated,
    ComplaintTriaged,
    PraiseReceived,
    PraiseRepeated,
)
from shared.contracts.intake import Channel, ComplaintRaised, Contact
from shared.contracts.reasons import Reason
from shared.kernel import Decision
from shared.runtime.engine.settle import Request, Settler
from shared.runtime.engine.view import View
from shared.runtime.faults import Rejected
from shared.runtime.mail.mailbox import Folder, RawMail
from shared.runtime.mail.reader import Fate
from shared.runtime.privacy.links import REPLY, replied_to
from shared.runtime.privacy.seal import Vault
from shared.runtime.words import say

#: What stands for the route in the name of a mail's request.
ROUTE = "mail"
#: Senders whose mails of the last hour are counted; the one who wrote longest ago is forgotten first.
SENDERS_MAX = 10_000
HOUR = timedelta(hours=1)
#: Refusals that are the mail's own, and what the metric calls them.
REFUSED = {
    # Its Message-ID came before with another content.
    Reason.IDEMPOTENCY_KEY_REUSED: "conflicting",
    Reason.CONFLICTING_REPEAT: "conflicting",
    Reason.TOO_MANY_WORDS: "too_many",
    Reason.TOO_MANY_COMPLAINTS: "too_many",
}
#: Why an answer does not go into its complaint, so that it becomes a new one.
NOT_JOINED = (Reason.LINK_INVALID, Reason.WRONG_STATE, Reason.CUSTOMER_ERASED)


class Mails:
    """Takes the mails of the mailboxes that complaints come to."""

    def __init__(
        self,
        settler: Settler,
        vault: Vault,
        accounts: Mapping[str, ComplaintAccount],
        intake: Intake,
        selfservice: SelfService,
        triage: Triage,
        now: Callable[[], datetime],
    ) -> None:
        self._settler = settler
        self._names = vault.pseudonyms
        self._secret = vault.derive("mail")
        self._accounts = accounts
        self._intake = intake
        self._selfservice = selfservice
        self._reply_secret = vault.derive(REPLY)
        self._triage = triage
        self._now = now
        #: When each sender's mails of the last hour were taken, by pseudonym. The process's own: losing it lets a few
        #: more mails of a machine in.
        self._senders: OrderedDict[str, deque[datetime]] = OrderedDict()

    async def take(self, account_id: str, raw: RawMail) -> Fate:
        """Take a mail of an account, once: by its Message-ID. Waits for the store.

        Raises Rejected for what an operator mends, like a site without a policy, and Unavailable.
        """
        mail = await asyncio.to_thread(read, raw.content)
        site = self._accounts[account_id].site
        if (why := why_not(mail)) is not None:
            return Fate(Folder.REFUSED, why.value)
        # Under a secret, because facts carry it.
        digest = hmac.digest(self._secret, mail.said, sha256).hex()
        request = Request(f"mail {account_id}", ROUTE, mail.message_id, digest)
        sent = self._sent_lately(site, mail.sender)
        decide = partial(self._decide, account_id, site, mail, len(sent))
        try:
            settled = await self._settler.settle_request(request, decide)
        except Rejected as rejected:
            if rejected.reason not in REFUSED:
                raise
            return Fate(Folder.REFUSED, REFUSED[rejected.reason])
        if not settled.replayed:
            sent.append(self._now())
        if settled.replayed or isinstance(settled.fact, ComplaintRepeated | PraiseRepeated):
            return Fate(Folder.TAKEN, "repeated")
        if isinstance(settled.fact, PraiseReceived):
            return Fate(Folder.TAKEN, "praise")
        raised = isinstance(settled.fact, ComplaintTriaged)
        return Fate(Folder.TAKEN, "complaint" if raised else "words")

    async def _decide(
        self, account_id: str, site: str, mail: Mail, sent_lately: int, view: View, name: str
    ) -> Decision:
        """What a mail becomes; raises Rejected(too_many_complaints) if its sender wrote too many in the last hour."""
        # Here and not before, so that a mail which was taken and only not moved is not refused when it is read again.
        if sent_lately >= (SENDER_MAX if mail.sender is not None else NO_SENDER_MAX):
            raise Rejected(Reason.TOO_MANY_COMPLAINTS)
        attached = self._attached(mail)
        joined = await self._joined(mail, attached, view)
        if joined is not None:
            return joined
        contact = Contact(name=mail.sender_name, email=mail.sender)
        raised = ComplaintRaised(
            site=site,
            text=complaint_text(mail.subject, mail.words, attached),
            contact=None if contact.empty else contact,
            channel=Channel.MAIL,
        )
        # Anybody can write any address as their own, so that the mailbox is the source and no customer.
        source = f"/mail/{site}/{account_id}"
        # Mails without a sender that can be used count as one customer in an incident, as forms without a contact do.
        counts_for = self._intake.as_one(source) if mail.sender is None else None
        return await self._intake.raise_complaint(
            raised, source, complaint_id_of(name), view, counts_for
        )

    async def _joined(self, mail: Mail, attached: str, view: View) -> Decision | None:
        """An answer as words of its complaint; None if it is none, or none of that complaint's customer.

        It came to the address that a letter gave, and from the address that the letter went to.
        """
        complaint_id = replied_to(self._reply_secret, mail.to, view.now)
        if complaint_id is None or mail.sender is None:
            return None
        try:
            complaint = await self._selfservice.known(complaint_id, view)
            if not await self._selfservice.is_contact(complaint, mail.sender, view):
                return None
            helped, line = answer_in(mail.words)
            if helped is not None:
                try:
                    line = added_words(line, attached)
                    return await self._selfservice.tell_helped(
                        complaint_id, complaint, helped, line, view
                    )
                except Rejected as rejected:
                    if rejected.reason is not Reason.WRONG_STATE:
                        raise
            words = added_words(mail.words, attached)
            return await self._selfservice.add_words(complaint_id, complaint, words, view)
        except Rejected as rejected:
            if rejected.reason not in NOT_JOINED:
                raise
            return None

    def _attached(self, mail: Mail) -> str:
        """A line about attachments, in the language of the words; empty if there are none."""
        if not mail.attachments_count:
            return ""
        language = self._triage.language_of(f"{mail.subject}\n{mail.words}", None).language
        said = say(language, "mail.attachments", count=mail.attachments_count)
        names = ", ".join(mail.attachments)
        more = CUT if mail.attachments_count > len(mail.attachments) else ""
        return f"[{said}{': ' + names if names else ''}{more}]"

    def _sent_lately(self, site: str, sender: str | None) -> deque[datetime]:
        """When a sender's mails of the last hour were taken."""
        ref = self._names.customer_at(site, sender or "")
        sent = self._senders.setdefault(ref, deque())
        self._senders.move_to_end(ref)
        while sent and sent[0] <= self._now() - HOUR:
            sent.popleft()
        if len(self._senders) > SENDERS_MAX:
            self._senders.popitem(last=False)
        return sent
