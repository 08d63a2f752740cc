"""An export is verified without any service, and whatever was changed in it is found and located."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from services.audit.chain.rules import Chain as Head
from services.audit.chain.rules import heads_signed, last_signed
from services.audit.chain.signer import Signer
from shared.audit import export
from shared.audit import story as story_of
from shared.audit.keys import public_pem
from shared.audit.story import record_of, sentence, story
from shared.audit.topic import data_of
from shared.audit.verify import (
    ANCHORS_MAX,
    FINDINGS_MAX,
    HEADS,
    Anchors,
    Chain,
    Finding,
    hashed,
    read_line,
)
from shared.contracts.audit import (
    NOTHING_BEFORE,
    RECORD_AT,
    FactRecorded,
    GapRecorded,
    HeadsSigned,
    Missed,
    Recorded,
    hash_of,
)
from shared.contracts.event import encode
from shared.ops import audit as audit_command
from shared.ops.__main__ import app
from shared.testing.clock import START

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))
TRIALS = 1_000
CHAINS = ("recovery.complaints.v1/0", "recovery.complaints.v1/1", "recovery.compensation.v1/0")


def fact(chain: str, number: int, previous: str, **changes: object) -> FactRecorded:
    found = {
        "amounts": {"cost_minor": 48000},
        "chain": chain,
        "correlation": "c-1",
        "currency": "NOK",
        "details": {"check_id": f"ck-{number}", "complaint_id": "co-1", "item": "cinema"},
        "event_id": f"e-{number}",
        "key": f"ck-{number}",
        "number": number,
        "offset": number + 3,
        "previous": previous,
        "sequence": number,
        "site": "ms-aurora",
        "source": "/compensation",
        "time": "2026-06-03T14:00:00Z",
        "what": "recovery.check.issued.v1",
        "who": "em-1",
        "why": "food",
    }
    return FactRecorded.of(Recorded.model_validate({**found, **changes}), START)


def forged(chain: str, records: Sequence[bytes], at: int) -> list[bytes]:
    """Records of which one says something else, and all later hashes are made anew."""
    found = list(records[:at])
    for line in records[at:]:
        record = json.loads(line)["record"]
        changes = {"previous": json.loads(found[-1])["hash"] if found else NOTHING_BEFORE}
        if len(found) == at:
            changes["site"] = "ms-boreas"
        made = FactRecorded.of(Recorded.model_validate({**record, **changes}), START)
        found.append(hashed(made.written().encode()))
    return found


@dataclass
class Record:
    """A record in memory: lines of each chain, and signed heads."""

    chains: dict[str, list[bytes]] = field(default_factory=dict)
    signed: list[bytes] = field(default_factory=list)
    _last: HeadsSigned | None = None

    def grow(self, chain: str, count: int) -> None:
        lines = self.chains.setdefault(chain, [])
        for _ in range(count):
            previous = json.loads(lines[-1])["hash"] if lines else NOTHING_BEFORE
            made = fact(chain, len(lines) + 1, previous)
            lines.append(hashed(made.written().encode()))

    def sign(self, key: Ed25519PrivateKey = KEY) -> None:
        ends = {
            name: Head(number=len(lines), hash=json.loads(lines[-1])["hash"], offset=0)
            for name, lines in self.chains.items()
        }
        last = self._last and last_signed(None, self._last)
        self._last = heads_signed(ends, last, Signer(key), START)
        self.signed.append(self._last.written().encode())

    def heads(self) -> Iterable[bytes]:
        return self.signed

    def partitions(self) -> Sequence[int]:
        return [0, 1]

    def records(self, partition: int) -> Iterable[bytes]:
        mine = [lines for name, lines in self.chains.items() if name.endswith(f"/{partition}")]
        for number in range(max(map(len, mine), default=0)):
            yield from (lines[number] for lines in mine if number < len(lines))


@pytest.fixture
def record() -> Record:
    made = Record()
    for count in (5, 30, 2, 40):
        for name in CHAINS:
            made.grow(name, count)
        made.sign()
    made.grow(CHAINS[1], 3)
    return made


def verified(directory: Path, key: Ed25519PrivateKey = KEY, **more) -> export.Report:
    return export.verify(directory, [key.public_key()], **more)


def test_an_export_that_nobody_touched_is_as_it_was_signed(record, tmp_path):
    manifest = export.write(record, tmp_path / "x")
    found = verified(tmp_path / "x")
    assert found.findings == []
    assert (found.records, found.chains, found.heads) == (234, 3, 4)
    assert found.unanchored == {CHAINS[1]: 3}
    assert manifest["records"] == 234
    assert manifest["chains"][CHAINS[1]]["last"] == 80
    for name, lines in record.chains.items():
        assert (tmp_path / "x/chains" / export.file_of(name)).read_bytes().splitlines() == lines


def flip(chance: random.Random, lines: list[bytes], last: int) -> range:
    at = chance.randrange(last)
    line = bytearray(lines[at])
    line[chance.randrange(len(line))] ^= 1 << chance.randrange(8)
    lines[at] = bytes(line)
    return range(at + 1, at + 2)


def cut(chance: random.Random, lines: list[bytes], last: int) -> range:
    at = chance.randrange(last)
    until = min(at + chance.choice([1, 1, 2, 10, 1000]), len(lines))
    del lines[at:until]
    return range(at + 1, until + 1)


def swap(chance: random.Random, lines: list[bytes], last: int) -> range:
    one, other = sorted(chance.sample(range(last), 2))
    lines[one], lines[other] = lines[other], lines[one]
    return range(one + 1, other + 2)


def insert(chance: random.Random, lines: list[bytes], last: int) -> range:
    at = chance.randrange(last)
    copy = lines[chance.randrange(len(lines))]
    stranger = fact(chance.choice(CHAINS), at + 1, NOTHING_BEFORE, site="ms-boreas")
    junk = [copy, hashed(stranger.written().encode()), b"", b"{}", copy[:-1], b"x" * 5]
    lines[at:at] = chance.choices(junk, k=chance.choice([1, 1, 1, 4]))
    return range(at, at + 6)


def forge(chance: random.Random, lines: list[bytes], last: int) -> range:
    """By somebody who can compute hashes, and cannot sign: located between two heads."""
    at = chance.randrange(last)
    chain = json.loads(lines[0])["record"]["chain"]
    until = chance.choice([at + 1, len(lines)])
    lines[at:until] = forged(chain, lines, at)[at:until]
    return range(at + 1, min(n for n in (5, 35, 37, 77) if n > at) + 1)


CHANGES: Sequence[Callable[[random.Random, list[bytes], int], range]] = (
    flip,
    cut,
    swap,
    insert,
    forge,
)


@pytest.mark.parametrize("part", range(4))
def test_every_flip_cut_swap_and_insert_before_the_last_heads_is_found_and_located(
    record, tmp_path, part
):
    """INV-09: a thousand random trials, in four parts."""
    export.write(record, tmp_path / "x")
    chance = random.Random(part)
    for trial in range(TRIALS // 4):
        change, name = chance.choice(CHANGES), chance.choice(CHAINS)
        lines = list(record.chains[name])
        touched = change(chance, lines, 77)
        path = tmp_path / "x/chains" / export.file_of(name)
        path.write_bytes(b"".join(line + b"\n" for line in lines))
        found = verified(tmp_path / "x").findings
        where = [one for one in found if one.chain == name]
        assert where == found, (trial, change, found)
        assert any(
            one.line in touched or (one.first <= touched.stop and one.last >= touched.start - 1)
            for one in where
        ), (
            trial,
            change,
            touched,
            found,
        )
        path.write_bytes(b"".join(line + b"\n" for line in record.chains[name]))
    assert verified(tmp_path / "x").findings == []


def test_every_change_of_signed_heads_is_found(record, tmp_path):
    """INV-09: heads are not trusted before their signature is checked."""
    export.write(record, tmp_path / "x")
    path, chance = tmp_path / "x" / export.HEADS_FILE, random.Random(1)
    for trial in range(200):
        lines, change = list(record.signed), chance.choice([flip, cut, swap, insert])
        change(chance, lines, 3)
        path.write_bytes(b"".join(line + b"\n" for line in lines))
        found = verified(tmp_path / "x").findings
        # Heads cut off at the end are missing only to those who hold them: see the test below.
        at_the_end = lines == record.signed[: len(lines)]
        assert at_the_end or any(one.chain == HEADS for one in found), (trial, change)


def test_whoever_holds_published_heads_finds_what_was_cut_off_together_with_its_heads(
    record, tmp_path
):
    held = tmp_path / "held.jsonl"
    held.write_bytes(record.signed[-1] + b"\n")
    del record.signed[2:]
    for lines in record.chains.values():
        del lines[36:]
    export.write(record, tmp_path / "x")
    assert verified(tmp_path / "x").findings == []
    found = verified(tmp_path / "x", published=[held]).findings
    assert {(one.chain, one.first, one.last) for one in found} == {
        (name, 37, 77) for name in CHAINS
    }


def test_a_chain_whose_file_is_gone_is_missing_from_its_first_record_on(record, tmp_path):
    export.write(record, tmp_path / "x")
    (tmp_path / "x/chains" / export.file_of(CHAINS[0])).unlink()
    found = verified(tmp_path / "x").findings
    assert [(one.chain, one.first, one.last) for one in found] == [(CHAINS[0], 1, 77)]


def test_heads_of_another_key_prove_nothing(record, tmp_path):
    export.write(record, tmp_path / "x")
    found = verified(tmp_path / "x", OTHER)
    assert {one.chain for one in found.findings} == {HEADS}
    assert found.unanchored[CHAINS[0]] == 77


def test_what_lies_before_a_checkpoint_may_be_gone_and_nothing_after_it(record, tmp_path):
    held = tmp_path / "held.jsonl"
    held.write_bytes(record.signed[1] + b"\n")  # up to record 35
    del record.signed[:1]
    kept = dict(record.chains)
    for gone, wrong in ((20, False), (35, False), (36, True)):
        for name, lines in kept.items():
            record.chains[name] = lines[gone:]
        export.write(record, tmp_path / f"x{gone}")
        found = verified(tmp_path / f"x{gone}", since=[held])
        assert bool(found.findings) is wrong, found.findings
        assert verified(tmp_path / f"x{gone}").findings, "without the checkpoint it is a cut"


def test_a_chain_that_was_idle_since_the_checkpoint_may_be_gone_whole_and_not_in_part(
    record, tmp_path
):
    held = tmp_path / "held.jsonl"
    held.write_bytes(record.signed[-1] + b"\n")  # up to record 77
    kept = dict(record.chains)
    for name, left in (("whole", []), ("part", kept[CHAINS[0]][:20])):
        record.chains = {**kept, CHAINS[0]: left}
        export.write(record, tmp_path / name)
    assert verified(tmp_path / "whole", since=[held]).findings == []
    (cut,) = verified(tmp_path / "part", since=[held]).findings
    assert (cut.first, cut.last, cut.what) == (21, 77, "records are missing at the end")
    assert verified(tmp_path / "whole").findings, "without the checkpoint it is a cut"


def test_without_signed_heads_nothing_is_proven(record, tmp_path):
    """Not by links that are right: whoever computes hashes makes those anew."""
    export.write(record, tmp_path / "x")
    held = tmp_path / "held.jsonl"
    held.write_bytes(record.signed[-1] + b"\n")
    (tmp_path / "x" / export.HEADS_FILE).write_bytes(b"")
    (told,) = verified(tmp_path / "x").findings
    assert (told.chain, told.what) == (HEADS, "there are no signed heads, so nothing is proven")
    assert verified(tmp_path / "x", published=[held]).findings == []


def test_lines_of_any_length_and_number_cost_bounded_memory(record, tmp_path):
    export.write(record, tmp_path / "x")
    path = tmp_path / "x/chains" / export.file_of(CHAINS[0])
    with path.open("ab") as file:
        file.write(b"x" * (3 * export.LINE_BYTES_MAX) + b"\n" * 1000)
    found = verified(tmp_path / "x").findings
    assert 0 < len(found) <= FINDINGS_MAX


def test_what_is_read_of_a_record_without_parsing_it_is_what_parsing_gives():
    """Whatever texts are on it: a value may look like a field."""
    looks_like = st.sampled_from(
        ['"chain":"x/1"', ',"number":7,', '"previous":"' + "a" * 64 + '"', '","previous":"', "}"]
    )
    text = st.text(max_size=9) | looks_like
    names = st.sampled_from(["chain", "number", "previous", "other"])
    details = st.dictionaries(names, text | st.integers(0, 9), max_size=4)

    @given(details, text, st.integers(1, 10**15 - 1), st.booleans())
    def read(found, why, number, gap):
        previous = hash_of(why.encode())
        if gap:
            missed = {"after": 1, "before": 3, "missing": 1}
            found_record = {"chain": CHAINS[0], "number": number, "previous": previous, **missed}
            made = GapRecorded.of(Missed.model_validate(found_record), START)
        else:
            in_order = {name: found[name] for name in sorted(found)}
            source = why.strip() if why.strip().isprintable() and why.strip() else "/x"
            made = fact(CHAINS[0], number, previous, details=in_order, source=source)
        line = hashed(made.written().encode())
        assert read_line(line) == (CHAINS[0], number, previous, made.hash)

    read()


def test_of_many_heads_some_are_kept_and_the_last_always():
    chain, anchors = Record(), Anchors([KEY.public_key()])
    for _ in range(ANCHORS_MAX + 500):
        chain.grow(CHAINS[0], 1)
        chain.sign()
        anchors.add(chain.signed[-1])
    assert anchors.findings == []
    known = anchors.chains[CHAINS[0]]
    assert len(known) <= ANCHORS_MAX
    assert max(known) == ANCHORS_MAX + 500


def test_a_record_of_another_chain_is_no_record_of_this_one():
    one = Chain(CHAINS[0])
    one.feed(hashed(fact(CHAINS[1], 1, NOTHING_BEFORE).written().encode()), 1)
    assert [found.what for found in one.findings] == [f"a record of {CHAINS[1]} is here"]


def test_the_data_of_an_event_comes_out_byte_for_byte():
    data = fact(CHAINS[0], 1, NOTHING_BEFORE, what='"data":{,"sequence":"7').written()
    event = encode(
        fact(CHAINS[0], 1, NOTHING_BEFORE),
        source="/audit",
        event_id="e",
        time="2026-06-03T14:00:00.000Z",
        correlation="c",
        causation="c",
        cause="recovery.complaints.v1/0/1/2",
        trace="00-" + "1" * 32 + "-" + "2" * 16 + "-01",
        data=data,
    )
    assert data_of(event) == (-1, data.encode())
    assert data_of(event[:-1] + b',"sequence":"00000000000000000042"}') == (42, data.encode())
    assert data_of(event[:-1] + b',"sequence":"%s"}' % (b"9" * 5000)) == (-1, data.encode())
    assert data_of(b"")[0] == -1


class OnTopic:
    """The record's topic, with these lines on it."""

    def __init__(self, *found: bytes) -> None:
        self._found = found

    def partitions(self):
        return [0]

    def records(self, _partition):
        return self._found

    def last_heads(self):
        return self._found[0]


def asked(monkeypatch, *words: str, found: Sequence[bytes]) -> Any:
    monkeypatch.setattr(audit_command, "_topics", lambda _: OnTopic(*found))
    return CliRunner().invoke(app, ["audit", *words])


JUNK = (
    b"",
    b"x" * 200,
    b'{"hash":"' + b"0" * 64 + b'","record":[]}',
    b'{"hash":"' + b"0" * 64 + b'","record":{"what":7,"key":"ck-7"}}',
    b'{"hash":"' + b"0" * 64 + b'","record":' + b"[" * 5000 + b"}",
)


@pytest.mark.parametrize("junk", JUNK)
def test_what_is_no_record_is_told_as_such_and_the_others_are_told_all_the_same(
    record, monkeypatch, junk
):
    line = record.chains[CHAINS[0]][6]
    told = asked(monkeypatch, "tail", found=(junk, line))
    assert (told.exit_code, "not a record" in told.output) == (1, True)
    assert "check issued (ck-7)" in told.output
    told = asked(monkeypatch, "explain", "ck-7", found=(junk, line))
    assert (told.exit_code, "check issued (ck-7)" in told.output) == (0, True), told.output
    assert asked(monkeypatch, "explain", "ck-7", found=(junk,)).exit_code == 1


@pytest.mark.parametrize("junk", [b"{}", b"x", b'{"statement":{"number":"x"}}', b'{"statement":7}'])
def test_heads_that_are_none_are_a_sentence_and_no_file(monkeypatch, tmp_path, junk):
    told = asked(monkeypatch, "heads", "--out", str(tmp_path / "x"), found=(junk,))
    assert told.exit_code == 1
    assert isinstance(told.exception, SystemExit)
    assert list(tmp_path.rglob("*.jsonl")) == []


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["what", "time", "key", "details", "amounts", "missing", "persons", "by"]
                ),
                inner,
                max_size=8,
            )
        ),
    )
)
def test_no_json_ends_in_a_traceback(found):
    data = b"_" * RECORD_AT + json.dumps(found).encode() + b"}"
    try:
        told = sentence(record_of(data))
    except ValueError:
        return
    assert told.isprintable()


def test_a_story_that_is_too_long_is_refused_in_both_passes(record, monkeypatch):
    lines = [line for number in record.partitions() for line in record.records(number)]
    monkeypatch.setattr(story_of, "STORY_MAX", 100)
    reads = []

    def read():
        reads.append(1)
        return lines

    with pytest.raises(ValueError, match="more than 100 records are about co-1"):
        story(read, "co-1")
    assert len(reads) == 1
    with pytest.raises(ValueError, match="more than 100"):
        story(read, "ck-7")
    assert len(reads) == 3


def test_a_story_is_told_in_sentences_by_time(record):
    lines = [line for number in record.partitions() for line in record.records(number)]
    told = [sentence(one) for one in story(lambda: lines, "ck-7")]
    assert told.count(
        "2026-06-03 14:00:00  check issued (ck-7) cinema by em-1 at ms-aurora because of food:"
        " cost 48000 minor units NOK"
    ) == len([line for line in lines if b'"key":"ck-7"' in line])
    assert len(story(lambda: lines, "co-1")) == len(told) == 234
    assert story(lambda: lines, "ck-700") == []


def test_the_story_of_a_complaint_goes_on_with_what_became_of_its_checks():
    def line(what: str, details: dict[str, str], minute: int) -> bytes:
        record = {"time": f"2026-06-03T14:{minute:02}:00Z", "what": f"recovery.{what}.v1"}
        said = {**record, "key": next(iter(details.values())), "details": details}
        return b"_" * RECORD_AT + json.dumps(said).encode() + b"}"

    voided = line("check.voided", {"check_id": "ck-1"}, 9)
    issued = line("check.issued", {"check_id": "ck-1", "complaint_id": "co-1"}, 5)
    received = line("complaint.received", {"complaint_id": "co-1"}, 1)
    other = line("check.voided", {"check_id": "ck-2"}, 7)
    for name in ("co-1", "ck-1"):
        found = story(lambda: [voided, other, issued, received], name)
        assert [one["what"].split(".")[2] for one in found] == ["received", "issued", "voided"]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            {"what": "recovery.check.praised.v1", "who": "em-1", "details": {"by": "em-2"}},
            "check praised (k) by em-2 of em-1",
        ),
        (
            {"what": "recovery.feedback.received.v1", "details": {"helped": "no"}},
            "feedback received (k) no",
        ),
        (
            {"what": "recovery.complaint.merged.v1", "who": "em-1", "details": {"into": "co-1"}},
            "complaint merged (k) into co-1 by em-1",
        ),
        (
            {"what": "recovery.complaint.split.v1", "details": {"into": "co-1"}},
            "complaint split (k) from co-1",
        ),
        (
            {"what": "recovery.signal.raised.v1", "details": {"signal": "x", "persons": ["em-1"]}},
            "signal raised (k) x about em-1",
        ),
        (
            {"what": "recovery.check.issued.v1", "who": "em-1", "details": {"explain_by": "…"}},
            "check issued (k) by a stretch by em-1",
        ),
    ],
)
def test_a_sentence_says_who_did_it_and_what_came_of_it(said, told):
    assert sentence({"time": "2026-06-03T14:00:00Z", "key": "k", **said}).endswith(f"  {told}")


def test_what_a_terminal_would_obey_is_not_printed():
    assert "\x1b" not in sentence(
        json.loads(fact(CHAINS[0], 1, NOTHING_BEFORE).record.model_dump_json())
        | {"what": "a.\x1b[2J.b.c"}
    )


def test_a_table_has_a_row_per_record_and_no_formula(record, tmp_path):
    record.chains[CHAINS[0]] = [
        hashed(fact(CHAINS[0], 1, NOTHING_BEFORE, what="=1+1").written().encode())
    ]
    export.write(record, tmp_path / "x", "csv")
    rows = (tmp_path / "x" / export.CSV).read_text().splitlines()
    assert len(rows) == 1 + 1 + 80 + 77
    assert rows[1].count("'=1+1") == 1


def test_a_table_in_parquet_has_a_row_per_record_and_types(record, tmp_path):
    pq = pytest.importorskip("pyarrow.parquet", reason="needs requirements-parquet.txt")
    record.chains[CHAINS[0]].append(record.chains[CHAINS[0]][0][:-1] + b"}")
    export.write(record, tmp_path / "x", "parquet")
    table = pq.read_table(tmp_path / "x" / export.PARQUET)
    assert table.num_rows == 78 + 80 + 77
    first = table.slice(0, 1).to_pylist()[0]
    assert (first["number"], first["time"]) == (1, datetime(2026, 6, 3, 14, tzinfo=UTC))
    assert json.loads(first["amounts"]) == {"cost_minor": 48000}
    assert first["hash"] == json.loads(record.chains[CHAINS[0]][0])["hash"]


def test_parquet_without_pyarrow_is_a_sentence_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "shared.audit.parquet", raising=False)
    words = ["audit", "export", str(tmp_path / "x"), "--format", "parquet", "--bootstrap", "x:1"]
    told = CliRunner().invoke(app, words)
    assert (told.exit_code, "requirements-parquet.txt" in told.output) == (2, True), told.output
    assert not (tmp_path / "x").exists()


def test_the_command_verifies_offline_and_its_status_says_whether_all_is_as_signed(
    record, tmp_path
):
    export.write(record, tmp_path / "x")
    key = tmp_path / "key.pem"
    key.write_text(public_pem(KEY.public_key()))
    told = CliRunner().invoke(app, ["audit", "verify", str(tmp_path / "x"), "--key", str(key)])
    assert (told.exit_code, "all as signed" in told.output) == (0, True), told.output
    assert f"{CHAINS[1]}: the last 3 records are proven by nothing" in told.output
    assert "all as signed, but 3 records that no signed heads cover" in told.output
    other = tmp_path / "x/chains" / export.file_of("recovery.evil.v1/0")
    line = fact("recovery.evil.v1/0", 1, NOTHING_BEFORE).written()
    other.write_bytes(hashed(line.encode()) + b"\n")
    told = CliRunner().invoke(app, ["audit", "verify", str(tmp_path / "x"), "--key", str(key)])
    assert "recovery.evil.v1/0: no signed heads name it, so nothing proves" in told.output
    other.unlink()
    path = tmp_path / "x/chains" / export.file_of(CHAINS[0])
    path.write_bytes(path.read_bytes().replace(b"ck-9", b"ck-8", 1))
    wrong = CliRunner().invoke(
        app, ["audit", "verify", str(tmp_path / "x"), "--key", str(key), "--json"]
    )
    assert wrong.exit_code == 1
    assert json.loads(wrong.output)["findings"][0]["first"] == 9
    nothing = CliRunner().invoke(app, ["audit", "verify", str(tmp_path), "--key", str(path)])
    assert nothing.exit_code == 2


def test_the_public_key_is_that_of_the_signing_key_or_of_the_master_key(tmp_path, monkeypatch):
    monkeypatch.setenv("SERVICE_CHECK_MASTER_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
    monkeypatch.delenv("SERVICE_CHECK_SIGNING_KEY", raising=False)
    told = CliRunner().invoke(app, ["audit", "key"])
    assert told.exit_code == 0
    assert told.output.startswith("-----BEGIN PUBLIC KEY-----")
    monkeypatch.setenv("SERVICE_CHECK_MASTER_KEY", "short")
    assert CliRunner().invoke(app, ["audit", "key"]).exit_code == 2
    monkeypatch.delenv("SERVICE_CHECK_MASTER_KEY")
    assert CliRunner().invoke(app, ["audit", "key"]).exit_code == 2


def test_a_finding_says_where_it_is():
    assert str(Finding("x/0", 3, 3, "gone")) == "x/0: 3: gone"
    assert str(Finding("x/0", 3, 5, "gone", 7)) == "x/0: 3 to 5, line 7: gone"
