"""A token says who somebody is, if and only if our issuer signed it for us and it is still good."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from datetime import timedelta

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, OKPKey, RSAKey
from pydantic_core import to_json

from shared.contracts.reasons import Reason
from shared.runtime.faults import Rejected
from shared.runtime.http.auth import (
    LEEWAY_S,
    LIFETIME_MAX_S,
    LOOK_S,
    SITES_MAX,
    TOKEN_BYTES_MAX,
    Authenticator,
    Kind,
    Principal,
)
from shared.testing.clock import START, Clock

KEY = OKPKey.generate_key("Ed25519", auto_kid=True)
OTHER = OKPKey.generate_key("Ed25519", auto_kid=True)
RSA = RSAKey.generate_key(2048, auto_kid=True)
NOW_S = int(START.timestamp())
CLAIMS = {
    "sub": "e-1", "kind": "employee", "site": "s", "aud": "service-check",
    "iss": "local-demo", "exp": NOW_S + 60,
}  # fmt: skip


def published(*keys) -> str:
    return json.dumps({"keys": [key.as_dict(private=False) for key in keys]})


def authenticator(clock: Clock | None = None, jwks=lambda: published(KEY, RSA)) -> Authenticator:
    return Authenticator(jwks, audience="service-check", issuer="local-demo", now=clock or Clock())


def signed(key=KEY, alg: str = "Ed25519", header: dict | None = None, **claims: object) -> str:
    wanted = {name: value for name, value in {**CLAIMS, **claims}.items() if value is not None}
    return jwt.encode({"alg": alg, "kid": key.kid, **(header or {})}, wanted, key, algorithms=[alg])


def sealed(claims: bytes, header: bytes | None = None) -> str:
    """Any bytes, well signed: what a careless issuer might sign."""
    head = header or to_json({"alg": "Ed25519", "kid": KEY.kid})
    signing = ".".join(urlsafe_b64encode(one).decode().rstrip("=") for one in (head, claims))
    signature = urlsafe_b64encode(KEY.private_key.sign(signing.encode())).decode().rstrip("=")
    return f"{signing}.{signature}"


def said(**claims: object) -> str:
    return sealed(json.dumps({**CLAIMS, **claims}).encode())


def part(value: object) -> str:
    return urlsafe_b64encode(to_json(value)).decode().rstrip("=")


def hs256_with_the_public_key() -> str:
    key = OctKey.import_key(RSA.as_pem(private=False).hex())
    header = {"alg": "HS256", "kid": RSA.kid}
    return jwt.encode(header, CLAIMS, key, algorithms=["HS256"])


@pytest.mark.parametrize(("key", "alg"), [(KEY, "Ed25519"), (RSA, "RS256"), (RSA, "PS256")])
def test_a_good_token_names_its_principal(key, alg):
    assert authenticator().authenticate(signed(key, alg)) == Principal("e-1", Kind.EMPLOYEE, "s")


def test_a_token_of_a_region_names_its_sites_each_once():
    found = authenticator().authenticate(signed(kind="manager", sites=["t", "s", "t"]))
    assert found.sites == ("s", "t")


def test_further_sites_are_those_of_one_kind_alone():
    assert authenticator().authenticate(signed(sites=["t"])).sites == ("s",)


BAD = {
    "alg none": f"{part({'alg': 'none', 'kid': KEY.kid})}.{part(CLAIMS)}.",
    "alg none, signed": f"{part({'alg': 'none'})}.{part(CLAIMS)}.AAAA",
    "the public key as a shared secret": hs256_with_the_public_key(),
    "another key": signed(OTHER),
    "another key under our kid": signed(OTHER, header={"kid": KEY.kid}),
    "another audience": signed(aud="another"),
    "no audience": signed(aud=None),
    "another issuer": signed(iss="another"),
    "no issuer": signed(iss=None),
    "expired": signed(exp=NOW_S - LEEWAY_S),
    "no expiry": signed(exp=None),
    "an expiry that is no number": signed(exp="tomorrow"),
    "not yet": signed(nbf=NOW_S + LEEWAY_S + 1),
    "issued later": signed(iat=NOW_S + LEEWAY_S + 1),
    "no end": said(exp=float("inf")),
    "an end that is not a number": said(exp=float("nan")),
    "an end beyond all times": said(exp=1e300),
    "an end beyond all floats": said(exp=10**400, iat=0.5),
    "further sites that are no list": signed(kind="manager", sites="s"),
    "a further site that is none": signed(kind="manager", sites=["s", ""]),
    "further sites without an end": signed(kind="manager", sites=["s"] * (SITES_MAX + 1)),
    "an end in years": said(exp=NOW_S + LIFETIME_MAX_S + 1),
    "an end years after its start": said(iat=NOW_S - 60, exp=NOW_S + LIFETIME_MAX_S - 59),
    "a start before all times": said(iat=-1e300),
    "a start that is no number": said(iat=float("nan")),
    "a start that never was": said(iat=float("-inf")),
    "a start beyond all floats": said(iat=-(10**400), exp=NOW_S + 0.5),
    "a start that is null": said(iat=None),
    "an end that is true": said(exp=True),
    "an end in a list": said(exp=[NOW_S + 60]),
    "a start that is a word": said(nbf="now"),
    "claims nested deeply": sealed(b'{"a":' + b"[" * 1400 + b"]" * 1400 + b"}"),
    "claims opened and never closed": sealed(b"[" * 2800),
    "a header nested deeply": sealed(
        b"{}", b'{"alg":"Ed25519","x":' + b"[" * 1000 + b"]" * 1000 + b"}"
    ),
    "a header that is a list": sealed(b"{}", b"[]"),
    "an algorithm that is a list": sealed(b"{}", b'{"alg":["Ed25519"]}'),
    "a kid that is an object": sealed(to_json(CLAIMS), b'{"alg":"Ed25519","kid":{}}'),
    "a critical extension": sealed(
        to_json(CLAIMS), b'{"alg":"Ed25519","crit":["b64"],"b64":false}'
    ),
    "no claims": sealed(b""),
    "claims that are no UTF-8": sealed(b'{"sub":"\xff"}'),
    "half a letter": sealed(json.dumps({**CLAIMS, "site": "\ud800"}).encode()),
    "another key in its header": signed(OTHER, header={"jwk": OTHER.as_dict(private=False)}),
    "an audience in a list in a list": said(aud=[["service-check"]]),
    "an issuer in a list": said(iss=["local-demo"]),
    "a subject that is a number": said(sub=5),
    "a subject that is too long": said(sub="e" * 129),
    "a subject with a Cyrillic letter": said(sub="\u0435-1"),
    "a subject with a separator": said(sub="e\x1fx"),
    "a site that is nothing": said(site=None),
    "a site that is true": said(site=True),
    "a site that is a number": said(site=5),
    "a kind in a list": said(kind=["employee"]),
    "a kind in capitals": said(kind="EMPLOYEE"),
    "without its signature": signed().rpartition(".")[0] + ".",
    "without its end": signed()[:-5],
    "with a line after it": signed() + "\n",
    "in five parts": "e30.e30.e30.e30.e30",
    "a surrogate": "\ud800.a.b",
    "no subject": signed(sub=None),
    "a subject that would be part of a key": signed(sub="a b\n"),
    "a site that would be part of a key": signed(site="s\n"),
    "no site": signed(site=None),
    "an unknown kind": signed(kind="god"),
    "no kind": signed(kind=None),
    "changed claims": ".".join(
        [signed().split(".")[0], part({**CLAIMS, "sub": "e-2"}), signed().split(".")[2]]
    ),
    "claims that are a list": f"{signed().split('.')[0]}.{part([1])}.{signed().split('.')[2]}",
    "empty": "",
    "words": "not a token",
    "two dots": "..",
    "not ascii": "é.é.é",
    "too long": "x" * (TOKEN_BYTES_MAX + 1),
}


@pytest.mark.parametrize("token", BAD.values(), ids=BAD.keys())
def test_any_other_token_is_nobody(token):
    with pytest.raises(Rejected, match=Reason.UNAUTHENTICATED.value) as found:
        authenticator().authenticate(token)
    assert found.value.reason.status == 401


def test_a_token_is_good_for_as_long_as_its_longest_lifetime():
    """Who leaves is out by the end of it: a signed token cannot be called back."""
    assert authenticator().authenticate(signed(exp=NOW_S + LIFETIME_MAX_S))
    assert authenticator().authenticate(signed(iat=NOW_S, exp=NOW_S + LIFETIME_MAX_S))


def test_a_token_without_a_kid_is_checked_against_the_keys_all_the_same():
    token = jwt.encode({"alg": "Ed25519"}, CLAIMS, OTHER, algorithms=["Ed25519"])
    with pytest.raises(Rejected, match=Reason.UNAUTHENTICATED.value):
        authenticator().authenticate(token)


@pytest.mark.parametrize(("leeway_s", "good"), [(0, False), (LEEWAY_S, True)])
def test_a_clock_that_is_off_by_a_little_locks_nobody_out(leeway_s, good):
    """An issuer half a minute ahead, or behind, is not somebody else's."""
    for claims in (
        {"exp": NOW_S - LEEWAY_S + 1},
        {"nbf": NOW_S + LEEWAY_S},
        {"iat": NOW_S + LEEWAY_S},
    ):
        one = Authenticator(
            lambda: published(KEY),
            audience="service-check",
            issuer="local-demo",
            now=Clock(),
            leeway_s=leeway_s,
        )
        if good:
            assert one.authenticate(signed(**claims)) == one.authenticate(signed(**claims))
        else:
            with pytest.raises(Rejected, match=Reason.UNAUTHENTICATED.value):
                one.authenticate(signed(**claims))


def test_a_remembered_token_expires_too():
    clock = Clock()
    one = authenticator(clock)
    assert one.authenticate(signed()) == one.authenticate(signed())
    clock.advance(timedelta(seconds=60 + LEEWAY_S))
    with pytest.raises(Rejected, match=Reason.UNAUTHENTICATED.value):
        one.authenticate(signed())


def test_a_key_that_is_published_later_holds_and_one_that_is_gone_does_not():
    clock, files = Clock(), [published(KEY)]
    one = authenticator(clock, lambda: files[-1])
    assert one.authenticate(signed())
    with pytest.raises(Rejected, match=Reason.UNAUTHENTICATED.value):
        one.authenticate(signed(OTHER))
    files.append(published(OTHER))
    clock.advance(timedelta(seconds=LOOK_S))
    assert one.authenticate(signed(OTHER))
    with pytest.raises(Rejected, match=Reason.UNAUTHENTICATED.value):
        one.authenticate(signed())  # it was remembered, and its key may have been stolen


@pytest.mark.parametrize(
    "broken", ["", "{", "[]", "null", '{"keys": []}', '{"keys": [{}]}', '{"keys": 1}', OSError()]
)
def test_while_the_published_keys_cannot_be_read_those_known_before_hold(broken):
    clock, files = Clock(), [published(KEY)]

    def read() -> str:
        if isinstance(files[-1], OSError):
            raise files[-1]
        return files[-1]

    one = authenticator(clock, read)
    files.append(broken)
    clock.advance(timedelta(seconds=LOOK_S))
    assert one.authenticate(signed())
    files.append(published(OTHER))
    clock.advance(timedelta(seconds=LOOK_S))
    assert one.authenticate(signed(OTHER))


@pytest.mark.parametrize("broken", ["", '{"keys": []}', '{"keys": [{"kty": "OKP"}]}'])
def test_nobody_starts_without_a_key_to_check_by(broken):
    with pytest.raises(ValueError, match=r"JWKS|JSON|Expecting"):
        authenticator(jwks=lambda: broken)
