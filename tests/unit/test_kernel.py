"""The words rules are written in: what belongs together is put together, and a clash is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import ClassVar

import pytest

from shared.kernel import Decision, Document, Domain, Fact, Fold, Posting, Slice, Timer, score_at

MOMENT = datetime(2026, 6, 3, tzinfo=UTC)


class Said(Fact):
    TYPE: ClassVar[str] = "recovery.test.said.v1"
    TOPIC: ClassVar[str] = "recovery.test.v1"


class Word(Document):
    KIND: ClassVar[str] = "word"


class OtherWord(Document):
    KIND: ClassVar[str] = "word"


class Count(Document):
    KIND: ClassVar[str] = "count"


def fold(document: type[Document]) -> Fold:
    return Fold(document, lambda _: "a")


def test_a_document_is_stored_under_its_kind_and_its_id():
    assert Word.key("a/b") == "word:a/b"
    assert fold(Count).key(Said()) == "count:a"


def test_a_decision_of_facts_has_no_ceilings():
    assert Decision.of(Said()) == Decision((Said(),))


def test_the_slices_of_a_service_fold_post_and_wait_together():
    first = Slice({Said: (fold(Word),)}, postings={Said: lambda _: [Posting("a", 1)]})
    second = Slice(
        {Said: (fold(Count),)},
        postings={Said: lambda _: [Posting("b", 2)]},
        timers={Said: lambda _: [Timer("t", "a", MOMENT)]},
    )
    domain = Domain.of("test", first, second)
    assert [row.document for row in domain.folds[Said]] == [Word, Count]
    assert list(domain.postings(Said())) == [Posting("a", 1), Posting("b", 2)]
    assert list(domain.timers(Said())) == [Timer("t", "a", MOMENT)]


def test_two_slices_that_fold_one_fact_into_one_document_are_refused():
    with pytest.raises(ValueError, match=r"recovery\.test\.said\.v1 is folded twice into 'word'"):
        Domain.of("test", Slice({Said: (fold(Word),)}), Slice({Said: (fold(Word),)}))


def test_where_documents_stand_is_said_by_one_slice_for_each_kind():
    def stands(_: Word) -> dict[str, int]:
        return {"s": 1}

    domain = Domain.of("test", Slice({}), Slice({}, indexes={Word: stands}))
    assert domain.indexes == {Word: stands}
    with pytest.raises(ValueError, match="two slices say where 'word' stands"):
        Domain.of("test", Slice({}, indexes={Word: stands}), Slice({}, indexes={Word: stands}))


def test_of_two_moments_the_later_has_the_higher_score_to_the_microsecond():
    later = MOMENT + timedelta(microseconds=1)
    assert score_at(later) - score_at(MOMENT) == 1


def test_two_documents_under_one_name_are_refused():
    with pytest.raises(ValueError, match="two kinds of document are stored as 'word'"):
        Domain.of("test", Slice({Said: (fold(Word),)}), Slice({Said: (fold(OtherWord),)}))


def test_a_fact_that_has_no_id_for_a_document_changes_none():
    some = Domain.of("test", Slice({Said: (fold(Word), Fold(Count, lambda _: None))}))
    assert some.changed_by(Said()) == ["word:a"]
    assert [key for _, key in some.folds_of(Said())] == ["word:a"]
