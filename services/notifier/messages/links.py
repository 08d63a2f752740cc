"""The links in letters."""

from __future__ import annotations

from datetime import datetime

from shared.runtime.privacy.links import (
    SEEN_FOR,
    Tokens,
    check_link,
    code_link,
    offer_link,
    survey_link,
)


class Links:
    """The links that letters and pages have: short signed tokens, ours for answers and what was seen, compensation's for choices and codes."""

    def __init__(
        self,
        answers: Tokens,
        public_url: str,
        choices: Tokens,
        codes: Tokens,
        offers_url: str,
        seen: Tokens,
        surveys: Tokens,
    ) -> None:
        self._answers = answers
        self._public_url = public_url.rstrip("/")
        self._choices = choices
        self._codes = codes
        self._offers_url = offers_url
        self._seen = seen
        self._surveys = surveys

    def feedback(self, check_id: str, valid_until: datetime) -> str:
        """The address of a check's page, which asks "did it help?"; good for weeks after the check."""
        return check_link(self._answers, self._public_url, check_id, valid_until)

    def offer(self, offer_id: str, expires_at: datetime) -> str:
        """The address where a customer chooses, until the offer lapses."""
        return offer_link(self._choices, self._offers_url, offer_id, expires_at)

    def code(self, check_id: str, language: str, valid_until: datetime) -> str:
        """The address of a check's code as a page for the till; good for weeks after the check."""
        return code_link(self._codes, self._offers_url, check_id, language, valid_until)

    def seen(self, complaint_id: str, mailbox: str, told_at: datetime) -> str:
        """The address where whoever reads a role mailbox says that they saw a safety concern; good for days."""
        claims = {"complaint": complaint_id, "mailbox": mailbox}
        return f"{self._public_url}/s/{self._seen.sign(claims, told_at + SEEN_FOR)}"

    def survey(self, complaint_id: str, round_: int, told_at: datetime) -> str:
        """The address of the site's questions after a close of a complaint; good for months."""
        return survey_link(self._surveys, self._public_url, complaint_id, round_, told_at)

    def survey_path(self, complaint_id: str, round_: int, told_at: datetime) -> str:
        """The same without the host, for a form of ours."""
        return survey_link(self._surveys, "", complaint_id, round_, told_at)

    def read_survey(self, token: str) -> tuple[str, int]:
        """Complaint and round of a survey's token; raises Rejected(link_invalid)."""
        claims = self._surveys.read(token)
        return claims["complaint"], int(claims["round"])

    def surveyed(self, token: str) -> str:
        """The complaint of a survey's token, also of an expired one; empty if the token is not ours."""
        return self._surveys.told(token).get("complaint", "")

    def read(self, token: str) -> str:
        """The check of a link's token; raises Rejected(link_invalid)."""
        return self._answers.read(token)["check"]

    def check_of(self, token: str) -> str:
        """The check of a token, also of an expired one; empty if the token is not ours."""
        return self._answers.told(token).get("check", "")
