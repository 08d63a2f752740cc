"""Customers' links: short, signed for one purpose, and over at their time."""

from __future__ import annotations

from datetime import timedelta
from string import ascii_letters, digits

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import OctKey

from shared.contracts.reasons import Reason
from shared.runtime.faults import Rejected
from shared.runtime.privacy.links import (
    FEEDBACK,
    FOLLOWED_FOR,
    MINE,
    NAMED,
    SEEN,
    SURVEY,
    Tokens,
    check_link,
    mine_link,
    offer_link,
    preferences_link,
)
from shared.testing.clock import Clock

SECRET = b"s" * 32
COMPLAINT, CHECK, OFFER_ID = "co-" + "9f" * 16, "ck-" + "3a" * 16, "of-" + "24" * 16


def tokens(purpose: str, clock: Clock, secret: bytes = SECRET) -> Tokens:
    return Tokens(secret, purpose, clock)


def refused(reader: Tokens, token: str) -> bool:
    with pytest.raises(Rejected, match=Reason.LINK_INVALID.value):
        reader.read(token)
    return reader.told(token) == {}


def test_a_customers_link_has_a_path_of_45_characters_and_ends_in_a_letter_or_digit():
    clock = Clock()
    made = [
        check_link(tokens(FEEDBACK, clock), "https://ship", CHECK, clock()),
        offer_link(tokens("offer", clock), "https://ship", OFFER_ID, clock()),
        mine_link(tokens(MINE, clock), "https://ship", COMPLAINT, clock()),
        preferences_link(tokens("preferences", clock), "https://ship", COMPLAINT, clock()),
    ]
    for link in made:
        assert len(link.removeprefix("https://ship")) == 45
        assert link[-1] in ascii_letters + digits


@pytest.mark.parametrize("purpose", NAMED)
@given(data=st.data())
def test_a_token_says_what_was_signed(purpose: str, data: st.DataObject):
    ids = st.from_regex(r"(co|ck|of)-[0-9a-f]{32}", fullmatch=True)
    texts = st.from_regex(r"[A-Za-z0-9_.:-]{1,128}", fullmatch=True)
    claims = {name: data.draw(ids | texts) for name in NAMED[purpose]}
    clock = Clock()
    reader = tokens(purpose, clock)
    token = reader.sign(claims, clock())
    assert token[-1] in ascii_letters + digits
    assert token == reader.sign(claims, clock())
    assert reader.read(token) == {"exp": str(int(clock().timestamp())), **claims}


def test_a_token_is_valid_until_its_second_and_afterwards_says_whose_it_was():
    clock = Clock()
    reader = tokens(MINE, clock)
    token = reader.sign({"complaint": COMPLAINT}, clock() + FOLLOWED_FOR)
    clock.advance(FOLLOWED_FOR)
    assert reader.read(token)["complaint"] == COMPLAINT
    clock.advance(timedelta(seconds=1))
    with pytest.raises(Rejected, match=Reason.LINK_INVALID.value):
        reader.read(token)
    assert reader.told(token)["complaint"] == COMPLAINT


def test_a_token_of_one_purpose_is_none_of_another_also_under_the_same_secret():
    clock = Clock()
    for purpose, named in NAMED.items():
        token = tokens(purpose, clock).sign(dict.fromkeys(named, COMPLAINT), clock())
        for other in NAMED.keys() - {purpose}:
            assert refused(tokens(other, clock), token)


def test_a_changed_token_is_none_of_ours():
    clock = Clock()
    reader = tokens(SEEN, clock)
    token = reader.sign({"complaint": COMPLAINT, "mailbox": "bridge"}, clock())
    for at, was in enumerate(token):
        other = "A" if was != "A" else "B"
        assert refused(reader, token[:at] + other + token[at + 1 :])
    for one in (token[:-1], token + "A", token + "=", f" {token}", f"{token}\n", token * 30):
        assert refused(reader, one)
    assert refused(tokens(SEEN, clock, b"t" * 32), token)


@pytest.mark.parametrize("text", ["", "A", "A" * 13, "A" * 14, "A" * 42, "é", "%00", "-_", "."])
def test_a_text_that_is_no_token_is_refused(text: str):
    assert refused(tokens(MINE, Clock()), text)


def test_a_token_has_one_spelling():
    clock = Clock()
    reader = tokens(MINE, clock)
    token = reader.sign({"complaint": COMPLAINT}, clock())
    spelt = [token[:-1] + one for one in ascii_letters + digits + "-_"]
    assert [one for one in spelt if reader.told(one)] == [token]


def by_jwt(purpose: str, **claims: object) -> str:
    """A token as letters had it before tokens were short."""
    return jwt.encode({"alg": "HS256"}, {"aud": purpose, **claims}, OctKey.import_key(SECRET))


@pytest.mark.parametrize(
    ("purpose", "claims"),
    [
        (FEEDBACK, {"complaint": COMPLAINT, "check": CHECK}),
        ("offer", {"offer": OFFER_ID}),
        (MINE, {"complaint": COMPLAINT}),
        ("preferences", {"complaint": COMPLAINT}),
        (SEEN, {"complaint": COMPLAINT, "mailbox": "bridge"}),
        (SURVEY, {"complaint": COMPLAINT, "round": "1"}),
    ],
)
def test_a_link_in_an_older_letter_opens_until_it_expires(purpose: str, claims: dict[str, str]):
    clock = Clock()
    token = by_jwt(purpose, exp=int(clock().timestamp()), **claims)
    reader = tokens(purpose, clock)
    assert claims.items() <= reader.read(token).items()
    other = FEEDBACK if purpose != FEEDBACK else MINE
    assert refused(tokens(other, clock), token)
    assert refused(reader, by_jwt(purpose, **claims))
    clock.advance(timedelta(seconds=1))
    with pytest.raises(Rejected, match=Reason.LINK_INVALID.value):
        reader.read(token)
