"""What is sealed opens with its own key at its own place, and nowhere else."""

from __future__ import annotations

import pytest

from shared.runtime.privacy.seal import PREFIX, SealBroken, Vault

VAULT = Vault(bytes(range(32)))
KEY, WRAPPED = VAULT.new_key("c-1")
SEALED = KEY.seal("text", "kald suppe 🍲")


@pytest.mark.parametrize("text", ["", "a", "kald suppe 🍲", "x" * 20_000])
def test_what_was_sealed_opens_again_also_after_its_key_was_wrapped(text):
    sealed = KEY.seal("text", text)
    assert KEY.open("text", sealed) == VAULT.unwrap("c-1", WRAPPED).open("text", sealed) == text
    assert sealed.startswith(PREFIX)
    assert KEY.seal("text", text) != sealed, "a nonce is used once"


@pytest.mark.parametrize(
    "key",
    [VAULT.new_key("c-1")[0], VAULT.new_key("c-2")[0]],
    ids=["another key", "another customer"],
)
def test_another_key_does_not_open_it(key):
    with pytest.raises(SealBroken):
        key.open("text", SEALED)


def test_a_sealed_text_cannot_be_moved_to_another_field():
    with pytest.raises(SealBroken):
        KEY.open("contact", SEALED)


def test_a_wrapped_key_is_its_customers_and_its_masters_alone():
    with pytest.raises(SealBroken):
        VAULT.unwrap("c-2", WRAPPED)
    with pytest.raises(SealBroken):
        Vault(bytes(32)).unwrap("c-1", WRAPPED)


@pytest.mark.parametrize("at", range(len(PREFIX), len(SEALED), 7))
def test_no_character_can_be_changed(at):
    other = "A" if SEALED[at] != "A" else "B"
    with pytest.raises(SealBroken):
        KEY.open("text", SEALED[:at] + other + SEALED[at + 1 :])


@pytest.mark.parametrize(
    "broken",
    ["", "v1.", "v1.AAAA", "plain words", "v1.é", SEALED[:-8], SEALED + "AAAA"],
    ids=["nothing", "no text", "too short", "words", "not ASCII", "cut", "longer"],
)
def test_what_is_no_sealed_text_is_refused(broken):
    with pytest.raises(SealBroken):
        KEY.open("text", broken)


def test_a_dead_letter_opens_with_the_master_key_under_its_own_name_and_bytes_that_are_none_do_not():
    sealed = VAULT.seal_dead(b"\xff\x00 words", "notifier/t/0/7")
    assert b"words" not in sealed
    assert VAULT.open_dead(sealed, "notifier/t/0/7") == b"\xff\x00 words"
    with pytest.raises(SealBroken):
        VAULT.open_dead(sealed, "notifier/t/0/8")
    for broken in (b"\xff", b"", sealed[:-4]):
        with pytest.raises(SealBroken):
            VAULT.open_dead(broken, "notifier/t/0/7")


def test_a_pseudonym_is_the_same_every_time_and_tells_sources_customers_and_masters_apart():
    names = VAULT.pseudonyms
    refs = [
        names.customer("/s", "kari"),
        names.customer("/t", "kari"),
        names.customer("/s", "ola"),
        names.customer("/sk", "ari"),
        names.customer("/s", "complaint/co-1"),
        names.customer_of("co-1", "/s", "site", None, None),
        Vault(bytes(32)).pseudonyms.customer("/s", "kari"),
    ]
    assert len(set(refs)) == 7
    assert Vault(bytes(range(32))).pseudonyms.customer("/s", "kari") == refs[0]


def test_the_same_words_of_another_kind_are_another_pseudonym():
    names = VAULT.pseudonyms
    made = [names.event("a", "b"), names.customer("a", "b"), names.person("a", "b")]
    made += [
        names.correlation("a"),
        names.content("a"),
        names.customer_of("a", "b", "c", None, None),
    ]
    made += [names.customer_at("a", "b@c"), names.mailbox("b@c", "a")]
    assert len({one[-32:] for one in made}) == len(made)


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_master_key_has_thirty_two_bytes(length):
    with pytest.raises(ValueError, match="32 bytes"):
        Vault(bytes(length))
