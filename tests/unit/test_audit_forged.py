"""Whoever can write an export and compute hashes, and cannot sign, changes nothing unnoticed."""

from __future__ import annotations

import json
import re
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from shared.audit import export
from shared.audit.keys import public_pem
from shared.audit.verify import (
    FINDINGS_MAX,
    HASH_BEGINS,
    MORE,
    RECORD_AT,
    RECORD_BEGINS,
    Anchors,
    Chain,
    Finding,
    read_line,
)
from shared.contracts.audit import NOTHING_BEFORE
from shared.ops.__main__ import app
from tests.unit.test_audit_reading import CHAINS, KEY, Record

CHAIN = CHAINS[0]
RECORDS, SIGNED = 12, 10


def hashed_anew(body: bytes) -> bytes:
    """A line whose hash is that of its bytes, whatever they are."""
    return HASH_BEGINS + sha256(body).hexdigest().encode() + RECORD_BEGINS + body + b"}"


def body_of(line: bytes) -> bytes:
    return line[RECORD_AT:-1]


def hash_in(line: bytes) -> str:
    return str(json.loads(line)["hash"])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Record, Path]:
    """Ten records whose heads are signed, after three and at the end, and two more."""
    record, directory = Record(), tmp_path_factory.mktemp("forged") / "x"
    for count, signed in ((3, True), (7, True), (2, False)):
        record.grow(CHAIN, count)
        if signed:
            record.sign()
    export.write(record, directory)
    return record, directory


def told(made: tuple[Record, Path], lines: list[bytes]) -> list[Finding]:
    """What verification finds with these lines as the chain."""
    directory = made[1]
    (directory / "chains" / export.file_of(CHAIN)).write_bytes(b"".join(x + b"\n" for x in lines))
    found = list(export.verify(directory, [KEY.public_key()]).findings)
    assert all(str(one).isprintable() for one in found)
    return found


def located(found: list[Finding], number: int) -> bool:
    """Whether a finding names the record of this number, or a neighbour, or its line."""
    return any(
        one.first - 1 <= number <= one.last + 1
        or one.line - 1 <= number <= max(one.line, one.until) + 1
        for one in found
    )


no_newline = st.binary(max_size=40).filter(lambda some: b"\n" not in some)
NUMBERS = [
    *"NaN Infinity 10.5 1e1 11.0 -11 011 +11 1_1 null true [11] {}".split(),
    " 11",
    '"11"',
    "9" * 16,
    "9" * 4300,
    "9" * 5000,
]
odd = st.sampled_from([*NUMBERS, "0", "9" * 15, "[" * 5000, '""', '"\\u001b[2J"', '"\xff"'])
names = st.sampled_from([b"chain", b"number", b"previous", b"amounts", b"details", b"Number", b"x"])


@st.composite
def changed(draw: st.DrawFn, line: bytes) -> bytes:
    """A line with one thing changed: its bytes; or its record, with the hash made anew."""
    how = draw(st.sampled_from(["bytes", "body", "field", "twice", "no field", "alone"]))
    body = body_of(line)
    record: dict[str, object] = json.loads(body)
    name = draw(names)
    if how in ("bytes", "body"):
        whole = line if how == "bytes" else body
        begin = draw(st.integers(0, len(whole)))
        end = draw(st.integers(begin, min(begin + 30, len(whole))))
        found = whole[:begin] + draw(no_newline) + whole[end:]
        return found if how == "bytes" else hashed_anew(found)
    value = draw(odd | st.integers(-5, 20).map(str)).encode("latin-1")
    if how == "twice":
        return hashed_anew(body[:-1] + b',"' + name + b'":' + value + b"}")
    if how == "alone":
        return hashed_anew(
            b'{"chain":"' + CHAIN.encode() + b'","number":' + value + b',"previous":""}'
        )
    record.pop(name.decode(), None)
    fields = [b'"' + n.encode() + b'":' + json.dumps(v).encode() for n, v in record.items()]
    if how == "field":
        fields.append(b'"' + name + b'":' + value)
    return hashed_anew(b"{" + b",".join(sorted(fields)) + b"}")


def test_any_single_change_of_any_line_before_the_last_heads_is_found_and_located(made):
    """INV-09: also by somebody who computes hashes; and nothing of it ends in a traceback."""
    lines = list(made[0].chains[CHAIN])

    @settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow], deadline=None)
    @given(st.data(), st.integers(0, SIGNED - 1), st.sampled_from(["change", "put in", "cut"]))
    def change(data, at, how):
        line = b"" if how == "cut" else data.draw(changed(lines[at]))
        if how == "change" and line == lines[at]:
            return
        kept = lines[at + 1 :] if how != "put in" else lines[at:]
        found = told(made, lines[:at] + ([line] if how != "cut" else []) + kept)
        assert located(found, at + 1), (how, line, found)

    change()
    assert told(made, lines) == []


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_that_is_no_whole_number_is_no_record(made, number):
    """Records were cut here, and something with such a number was put in their place."""
    lines = made[0].chains[CHAIN]
    body = (
        f'{{"chain":"{CHAIN}","number":{number},"previous":"{hash_in(lines[3])}","what":"x"}}'
    ).encode()
    assert read_line(hashed_anew(body)) is None
    found = told(made, [*lines[:4], hashed_anew(body), *lines[7:]])
    assert found[0].line == 5
    assert (found[0].first, found[0].what) == (5, "a record is not as it was recorded")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("chain", '"recovery.evil.v1/0"'),
        ("number", "5"),
        ("previous", f'"{NOTHING_BEFORE}"'),
    ],
)
def test_a_field_that_is_there_twice_makes_no_record(made, name, value):
    body = body_of(made[0].chains[CHAIN][4]).decode()
    for twice in (f'{{"{name}":{value},{body[1:]}', f'{body[:-1]},"{name}":{value}}}'):
        assert read_line(hashed_anew(twice.encode())) is None
    among_details = body.replace('"details":{', f'"details":{{"{name}":{value},')
    assert read_line(hashed_anew(among_details.encode())) is not None


def test_a_field_by_another_name_or_among_others_is_not_read(made):
    body = body_of(made[0].chains[CHAIN][4])
    for was, now in (
        (b'"number"', b'"Number"'),
        (b'"previous"', b'"PREVIOUS"'),
        (b'"chain"', b'"chain "'),
        (b'"number":5', b'"x":{"number":5}'),
        (b'"chain":"recovery', b'"chain":"\\u001b[2Jrecovery'),
        (b'"chain":"recovery', b'"chain":"\x1b[2Jrecovery'),
    ):
        assert was in body
        assert read_line(hashed_anew(body.replace(was, now))) is None, now


def test_a_sequence_of_more_digits_than_an_event_has_makes_no_record(made):
    body = body_of(made[0].chains[CHAIN][4])
    for digits, is_one in ((b"9" * 20, True), (b"9" * 21, False), (b"9" * 5000, False)):
        changed = re.sub(rb'"sequence":[0-9]+', b'"sequence":' + digits, body)
        assert (changed != body) is True
        assert (read_line(hashed_anew(changed)) is not None) is is_one


@given(st.lists(no_newline | no_newline.map(hashed_anew), max_size=5))
def test_no_bytes_end_in_a_traceback(lines):
    one, heads = Chain(CHAIN, {3: "a" * 64}), Anchors([KEY.public_key()])
    for number, line in enumerate(lines, start=1):
        one.feed(line, number)
        heads.add(line, number)
    one.end()
    assert len(one.findings) <= len(lines) + 1
    assert one.findings[-1].what == "records are missing at the end"
    assert bool(heads.findings) is bool(lines)
    assert all(str(found).isprintable() for found in (*one.findings, *heads.findings))


def test_a_record_with_a_high_number_that_was_put_in_hides_no_later_change(made):
    """What comes behind it is compared as before, so a later swap is located."""
    lines = list(made[0].chains[CHAIN])
    body = body_of(lines[2]).replace(b'"number":3', b'"number":' + b"9" * 15)
    lines[7], lines[8] = lines[8], lines[7]
    found = told(made, [*lines[:2], hashed_anew(body), *lines[2:]])
    assert [(one.first, one.last, one.line) for one in found] == [
        (3, 10**15 - 2, 3),
        (8, 8, 9),
        (9, 9, 11),
    ]


def test_lines_of_junk_in_a_row_are_one_finding_and_hide_no_later_change(made):
    lines = list(made[0].chains[CHAIN])
    lines[7], lines[8] = lines[8], lines[7]
    found = told(made, [*lines[:2], *[b"junk"] * 150, *lines[2:]])
    assert str(found[0]) == (
        f"{CHAIN}: 3 to 152, lines 3 to 152: a record is not as it was recorded"
    )
    assert [(one.first, one.line) for one in found[1:]] == [(8, 158), (9, 160)]


def test_of_very_many_findings_the_last_says_where_the_others_are(made):
    lines = made[0].chains[CHAIN]
    put_in = [line for _ in range(200) for line in (b"junk", lines[0])]
    found = told(made, [*lines[:2], *put_in, *lines[2:5], *lines[6:]])
    assert len(found) == FINDINGS_MAX + 1
    assert found[-1].what == MORE
    assert (found[-1].line, found[-1].until) == (103, 406)
    assert found[-1].first <= 6 <= found[-1].last


def test_a_line_of_any_length_is_one_line(made):
    lines = list(made[0].chains[CHAIN])
    long = b"x" * (3 * export.LINE_BYTES_MAX + 7)
    cut = told(made, [*lines[:2], long, *lines[2:5], *lines[6:]])
    assert [one.line for one in cut] == [3, 7]
    padded = lines[2] + b" " * (export.LINE_BYTES_MAX - len(lines[2])) + b"junk"
    assert [one.line for one in told(made, [*lines[:2], padded, *lines[3:]])][:1] == [3]


def test_what_is_on_the_topic_and_is_no_record_is_exported_beside_the_chains_and_found(tmp_path):
    """Whatever it is: an export that fails would hide everything else."""
    record = Record()
    record.grow(CHAIN, 4)
    record.sign()
    record.chains[CHAIN].insert(2, b"\xff\x00 junk")
    record.chains[CHAIN].append(hashed_anew(b'{"chain":"../../x","number":[],"previous":1}'))
    export.write(record, tmp_path / "x")
    assert sorted(path.name for path in (tmp_path / "x/chains").iterdir()) == [
        export.file_of(CHAIN),
        "unreadable-0.jsonl",
    ]
    (one,) = export.verify(tmp_path / "x", [KEY.public_key()]).findings
    assert str(one) == ("unreadable/0: 1 to 2, lines 1 to 2: a record is not as it was recorded")
    export.write(record, tmp_path / "table", "csv")
    assert len((tmp_path / "table" / export.CSV).read_text().splitlines()) == 1 + 4


def test_the_command_prints_nothing_that_a_terminal_would_obey(made, tmp_path):
    record, directory = made
    told(made, list(record.chains[CHAIN]))
    key = tmp_path / "key.pem"
    key.write_text(public_pem(KEY.public_key()))
    evil = directory / "chains" / "\x1b[2Jevil-0.jsonl"
    evil.write_bytes(record.chains[CHAIN][0] + b"\n")
    try:
        said = CliRunner().invoke(app, ["audit", "verify", str(directory), "--key", str(key)])
    finally:
        evil.unlink()
    assert said.exit_code == 1
    assert "\x1b" not in said.output
    assert "?[2Jevil/0: 0 to 1, line 1: a record of" in said.output
