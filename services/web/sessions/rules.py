"""How long a session is good, which request may change something, and where a sign-in may lead."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

#: The longest shift with its handover; then who it is is asked again.
WHOLE = timedelta(hours=12)
#: On a device that others use too: the next one at the counter must not find the last one's session.
IDLE = timedelta(minutes=15)
#: More digits of seconds than it takes to be idle for years.
IDLE_DIGITS_MAX = 9
#: A token is renewed while it is still good for a request and its answer.
RENEW_BEFORE = timedelta(seconds=60)
#: From its last use. A draft ends after 24 h, and what became of it is shown for 24 h more.
DRAFTS_KEY_KEPT = timedelta(hours=72)
#: Where a sign-in leads if nothing was asked for.
HOME = "/app/"
#: Where it may lead: to a page for those who are signed in.
FACES = ("app", "board")
PATH_CHARS_MAX = 512


@dataclass(frozen=True, slots=True)
class Tokens:
    """What the issuer gave; no part of it is ever sent to a browser."""

    access: str = field(repr=False)
    access_ends_at: datetime
    refresh: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Who:
    """The person, as the issuer's identity token names them."""

    subject: str
    kind: str
    site: str
    name: str


@dataclass(frozen=True, slots=True)
class Session:
    """One person at one device, from a sign-in until its end."""

    who: Who
    tokens: Tokens
    ends_at: datetime
    #: Whether others use the device too.
    shared: bool


def opened(who: Who, tokens: Tokens, now: datetime, *, shared: bool) -> Session:
    """The session that begins with a sign-in."""
    return Session(who, tokens, now + WHOLE, shared)


def renewed(session: Session, tokens: Tokens) -> Session:
    """The session with new tokens; it ends when it would have ended. An issuer may keep the refresh token."""
    return replace(
        session, tokens=replace(tokens, refresh=tokens.refresh or session.tokens.refresh)
    )


def alive(session: Session, now: datetime) -> bool:
    """Whether the session has not come to its end; idling is counted where it is stored."""
    return now < session.ends_at


def kept_s(session: Session, now: datetime, idle_s: int = 0) -> int:
    """For how many seconds the session is kept if nobody uses it again; its page was last used `idle_s` ago.

    At least one.
    """
    left = (session.ends_at - now).total_seconds()
    return max(1, int(min(left, IDLE.total_seconds() - idle_s) if session.shared else left))


def idle_s(told: str) -> int:
    """How long nobody has used the page that asks, as it tells; 0 if it tells nothing that is a length of time."""
    return int(told[:IDLE_DIGITS_MAX]) if told.isascii() and told.isdecimal() else 0


def to_renew(session: Session, now: datetime) -> bool:
    """Whether the access token is to be renewed before it is used."""
    return session.tokens.access_ends_at - now < RENEW_BEFORE


def token_good(session: Session, now: datetime) -> bool:
    """Whether the access token can still be used."""
    return now < session.tokens.access_ends_at


def may_write(fetch_site: str, origin: str, ours: str) -> bool:
    """Whether a page of ours sent a request that changes something, by `Sec-Fetch-Site`, else by `Origin`."""
    return fetch_site == "same-origin" if fetch_site else origin == ours


def may_read(fetch_site: str) -> bool:
    """Whether a request for an answer to a person comes from a page of ours, or from no page."""
    return fetch_site in ("", "none", "same-origin")


def path_of_ours(asked: str) -> str:
    """Where a sign-in leads: the path that was asked for if it is one of our faces, else the first of them.

    Never another origin: a browser reads `//host`, and a backslash for a slash, as one.
    """
    path, _, _ = asked.partition("?")
    segments = path.split("/")
    plain = all(" " < one <= "~" and one not in '\\#"<>' for one in asked)
    ours = len(segments) > 1 and not segments[0] and segments[1] in FACES
    straight = "//" not in path and not {".", ".."} & {*segments} and "%" not in path
    return asked if plain and ours and straight and len(asked) <= PATH_CHARS_MAX else HOME
