"""A file of complaints is published row by row, goes on where it ended, and says which rows are no complaint."""

from __future__ import annotations

import fcntl
import io
import json
import tracemalloc
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer import Typer
from typer.testing import CliRunner

from services.complaints.intake.commands import import_file
from services.complaints.intake.files import (
    LINE_BYTES_MAX,
    NoTable,
    Unreadable,
    checked_source,
    event_of,
    lines_of,
)
from services.complaints.intake.importing import (
    RECOGNISED_BYTES,
    ROWS_AT_ONCE,
    Names,
    Position,
    ends_unfinished,
    position_in,
    publish_rows,
    rows_of,
)
from shared.contracts.event import Event
from shared.contracts.intake import TEXT_MAX, ComplaintRaised
from tests.suites.services import SITE

NOW = datetime(2026, 6, 4, 8, 0, tzinfo=UTC)
ROW = {"site": SITE, "text": "Cold soup.", "contact": {"email": "kim@example.org"}}


class Intake:
    """The topic: what was published to it, and after how many batches it is away."""

    def __init__(self, batches: int = 1_000_000) -> None:
        self.events: list[dict[str, Any]] = []
        self.batches = batches

    def __call__(self, events: Sequence[tuple[str, bytes]]) -> None:
        if self.batches == 0:
            raise ConnectionError
        self.batches -= 1
        for key, event in events:
            found = json.loads(event)
            assert key == found["data"]["site"]
            Event[ComplaintRaised].model_validate(found)
            self.events.append(found)

    @property
    def ids(self) -> list[str]:
        return [one["id"] for one in self.events]


def run(path: Path, intake: Intake, **how: Any) -> Position:
    """One run of the command over a file; raises what the topic raises."""
    kept, rejects = path.with_suffix(".position"), path.with_suffix(".rejects")
    with path.open("rb") as file:
        position = position_in(file, kept, again=how.pop("again", False))
        rows = rows_of(file, position, as_csv=path.suffix == ".csv")
        told = {"site": None, "source": "/import", **how}
        with closing(Names(path.with_suffix(".names"), begins=position.offset == 0)) as names:
            done = list(publish_rows(rows, file, position, intake, rejects, kept, names, **told))
    return done[-1] if done else position


def written(tmp_path: Path, name: str, *lines: str | bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(
        b"".join((one if isinstance(one, bytes) else one.encode()) + b"\n" for one in lines)
    )
    return path


def rejected(path: Path) -> list[dict[str, Any]]:
    return [json.loads(one) for one in path.with_suffix(".rejects").read_text().splitlines()]


def test_a_row_of_json_lines_is_published_as_it_is(tmp_path: Path):
    intake = Intake()
    done = run(written(tmp_path, "a.jsonl", json.dumps({"id": "c-1", **ROW})), intake)
    (event,) = intake.events
    assert (event["id"], event["source"], event["type"]) == ("c-1", "/import", ComplaintRaised.TYPE)
    assert event["data"] == ROW
    assert (done.published, done.rejected) == (1, 0)


def test_a_row_of_csv_has_the_fields_that_the_first_line_names(tmp_path: Path):
    path = written(
        tmp_path,
        "a.csv",
        "\ufeffid;text;contact.email;occurred_at;customer",
        'c-1;"Cold; ""soup""\nand wine.";kim@example.org;2026-06-01T10:00:00+02:00;',
        "",
        "c-2;Cold soup.;;;k-7",
    )
    intake = Intake()
    assert run(path, intake, site=SITE).published == 2
    first, second = intake.events
    assert first["data"]["text"] == 'Cold; "soup"\nand wine.'
    assert first["data"]["contact"] == {"email": "kim@example.org"}
    assert second["data"] == {"site": SITE, "text": "Cold soup.", "customer": "k-7"}


def test_an_event_keeps_its_own_source_and_id(tmp_path: Path):
    event = {"specversion": "1.0", "type": ComplaintRaised.TYPE, "source": "/booking", "id": "7"}
    intake = Intake()
    run(written(tmp_path, "a.jsonl", json.dumps({**event, "data": ROW})), intake)
    assert (intake.events[0]["source"], intake.events[0]["id"]) == ("/booking", "7")


def test_the_same_row_has_the_same_id_however_it_is_written(tmp_path: Path):
    """So exact repeats are one complaint."""
    turned = json.dumps(dict(reversed(ROW.items())), indent=None, separators=(" ,", ": "))
    intake = Intake()
    run(
        written(tmp_path, "a.jsonl", json.dumps(ROW), turned, json.dumps({**ROW, "text": "x"})),
        intake,
    )
    first, same, other = intake.ids
    assert first == same != other
    repeated = Intake()
    run(tmp_path / "a.jsonl", repeated, again=True)
    assert repeated.ids == intake.ids


def test_of_rows_of_one_id_that_say_different_things_the_first_counts_and_the_others_are_told(
    tmp_path: Path,
):
    one, other = {"id": "c-1", **ROW}, {"id": "c-1", **ROW, "text": "Warm wine."}
    rows = [one, {**ROW, "id": "c-2"}, one, other, {**ROW, "text": "Later."}]
    path, intake = written(tmp_path, "a.jsonl", *map(json.dumps, rows)), Intake()
    done = run(path, intake)
    assert (done.published, done.rejected) == (4, 1)
    assert [one["data"]["text"] for one in intake.events] == ["Cold soup."] * 3 + ["Later."]
    why = "/id: line 1 has this id too and says something else; that line counts"
    assert rejected(path) == [{"line": 4, "why": [why]}]


def test_ids_of_an_earlier_run_are_known_and_those_of_another_file_or_source_are_not(
    tmp_path: Path,
):
    path, intake = written(tmp_path, "a.jsonl", json.dumps({"id": "c-1", **ROW})), Intake()
    run(path, intake)
    with path.open("a") as file:
        file.write(json.dumps({"id": "c-1", **ROW, "text": "Warm wine."}) + "\n")
        event = {"specversion": "1.0", "type": ComplaintRaised.TYPE, "source": "/b", "id": "c-1"}
        file.write(json.dumps({**event, "data": {**ROW, "text": "Other."}}) + "\n")
    done = run(path, intake)
    assert (done.published, done.rejected) == (2, 1)
    assert rejected(path)[0]["line"] == 2
    written(tmp_path, "a.jsonl", json.dumps({"id": "c-1", **ROW, "text": "Another file."}))
    assert run(path, intake, again=True).published == 1


def test_a_row_whose_publishing_failed_does_not_stand_against_itself(tmp_path: Path):
    rows = [json.dumps({"id": f"c-{n}", "text": "Cold soup."}) for n in range(ROWS_AT_ONCE + 1)]
    path, intake = written(tmp_path, "a.jsonl", *rows), Intake()
    with pytest.raises(ConnectionError):
        run(path, Intake(batches=1), site="mistyped")
    done = run(path, intake, site=SITE)
    assert (len(intake.events), done.rejected) == (1, 0)


def test_names_of_rows_are_kept_as_hashes(tmp_path: Path):
    path = written(tmp_path, "a.jsonl", json.dumps({"id": "kari@example.org", **ROW}))
    run(path, Intake())
    assert b"kari" not in path.with_suffix(".names").read_bytes()


WRONG = {
    "not json": ('{"site": ', "not JSON in UTF-8"),
    "a list": ("[1]", "not a JSON object"),
    "deep": ("[" * 100_000, "not JSON in UTF-8"),
    "infinite": ('{"text": NaN}', "not JSON in UTF-8"),
    "not utf-8": (b'{"text": "\xff"}', "not JSON in UTF-8"),
    "no text": (json.dumps({"site": SITE}), "/text: It is needed"),
    "no site": (json.dumps({"text": "x"}), "/site: It is needed"),
    "nothing that is seen": (json.dumps({**ROW, "text": " \u200b"}), "/text: nothing of it is seen"),
    "a misspelt part of the contact": (json.dumps({**ROW, "contact": {"emial": "kim@example.org"}}), "/contact/emial: There is no field of this name"),
    "a misspelt field": (json.dumps({**ROW, "txet": "x"}), "/txet: There is no field of this name"),
    "a long text": (json.dumps({**ROW, "text": "x" * (TEXT_MAX + 1)}), "/text: String should have at most 20000 characters"),
    "no address": (json.dumps({**ROW, "contact": {"email": "kim"}}), "/contact/email: It is a mail address, such as kim@example.org"),
    "long ago": (json.dumps({**ROW, "occurred_at": "1999-01-01T00:00:00Z"}), "/occurred_at: too far in the past or in the future"),
    "another event": (json.dumps({"specversion": "1.0", "type": "x", "data": ROW}), f"an event, and not of type {ComplaintRaised.TYPE} with data"),
    "a long line": ("x" * (LINE_BYTES_MAX + 10), f"longer than {LINE_BYTES_MAX} bytes"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_row_that_is_no_complaint_is_named_by_its_line_and_why_and_the_others_go_on(
    tmp_path: Path, name: str
):
    line, why = WRONG[name]
    path = written(tmp_path, "a.jsonl", json.dumps(ROW), line, json.dumps({**ROW, "text": "x"}))
    intake = Intake()
    done = run(path, intake)
    assert (done.published, done.rejected) == (2, 1)
    assert rejected(path) == [{"line": 2, "why": [why]}]


def test_nothing_that_a_row_says_is_in_the_file_of_rejected_rows(tmp_path: Path):
    secret = "secret-of-kari"
    told = {"site": secret + " ", "text": secret, "contact": {"email": secret}, "channel": secret}
    path = written(
        tmp_path, "a.jsonl", json.dumps(told), json.dumps({**ROW, "occurred_at": secret})
    )
    run(path, Intake())
    assert len(rejected(path)) == 2
    assert secret not in path.with_suffix(".rejects").read_text()


def test_rows_of_csv_that_are_none_are_named_by_their_first_line(tmp_path: Path):
    path = written(
        tmp_path,
        "a.csv",
        "text,site",
        f'"two\nlines",{SITE}',
        "one",
        b"\xff," + SITE.encode(),
        "x" * (LINE_BYTES_MAX + 10) + f",{SITE}",
        f"fine,{SITE}",
        f'"{"y" * 140_000}",{SITE}',
        f"fine too,{SITE}",
    )
    intake = Intake()
    run(path, intake)
    assert [one["data"]["text"] for one in intake.events] == ["two\nlines", "fine", "fine too"]
    assert [one["line"] for one in rejected(path)] == [4, 5, 6, 8]


@pytest.mark.parametrize("first", ["", "site,customer", "text,txet", "text,text", "\x00"])
def test_a_table_without_known_columns_is_refused_as_a_whole(tmp_path: Path, first: str):
    with pytest.raises(NoTable):
        run(written(tmp_path, "a.csv", first, "x"), Intake())


def many(count: int) -> Iterator[str]:
    for number in range(count):
        yield "no row" if number % 100 == 7 else json.dumps({**ROW, "text": f"Cold soup {number}"})


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_what_was_interrupted_goes_on_where_it_ended_and_rejects_nothing_twice(
    tmp_path: Path, suffix: str
):
    rows = list(many(3 * ROWS_AT_ONCE + 10))
    if suffix == "csv":
        rows = [
            "text,site",
            *(f"{number},{SITE}" if "{" in row else row for number, row in enumerate(rows)),
        ]
    path, intake = written(tmp_path, f"a.{suffix}", *rows), Intake(batches=2)
    with pytest.raises(ConnectionError):
        run(path, intake)
    with path.with_suffix(".rejects").open("a") as half:
        half.write('{"line"')
    intake.batches = 1_000_000
    done = run(path, intake)
    whole = Intake()
    written(tmp_path, f"b.{suffix}", *rows)
    assert run(tmp_path / f"b.{suffix}", whole) == done
    assert intake.ids == whole.ids
    assert rejected(path) == rejected(tmp_path / f"b.{suffix}")
    assert run(path, intake) == done  # at its end
    assert intake.ids == whole.ids


def test_rejected_rows_that_somebody_took_away_leave_nothing_in_the_next_ones(tmp_path: Path):
    path, intake = written(tmp_path, "a.jsonl", "no row", json.dumps(ROW)), Intake()
    run(path, intake)
    path.with_suffix(".rejects").unlink()
    with path.open("a") as file:
        file.write("no row either\n")
    run(path, intake)
    assert [one["line"] for one in rejected(path)] == [3]


def test_a_file_that_is_begun_again_counts_its_rejected_rows_anew(tmp_path: Path):
    path, intake = written(tmp_path, "a.jsonl", "no row"), Intake()
    run(path, intake)
    written(tmp_path, "a.jsonl", json.dumps(ROW))
    assert run(path, intake, again=True).rejects_bytes == 0


def test_rows_that_are_added_later_are_published_then(tmp_path: Path):
    path, intake = written(tmp_path, "a.jsonl", json.dumps(ROW)), Intake()
    run(path, intake)
    with path.open("a") as file:
        file.write(json.dumps({**ROW, "text": "Later."}) + "\n")
    assert run(path, intake).published == 2
    assert [one["data"]["text"] for one in intake.events] == ["Cold soup.", "Later."]


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_a_last_line_without_its_end_is_left_until_it_is_whole(tmp_path: Path, suffix: str):
    """Somebody may still be writing it, and half a row of CSV reads like a whole one."""
    first, second = (json.dumps({**ROW, "text": text}) for text in ("First.", "Second and last."))
    if suffix == "csv":
        first, second = f"site,text\n{SITE},First.", f"{SITE},Second and last."
    path, intake = written(tmp_path, f"a.{suffix}", first), Intake()
    with path.open("a") as file:
        file.write(second[:-6])
    assert run(path, intake).published == 1
    with path.open("rb") as file:
        assert ends_unfinished(file)
    with path.open("a") as file:
        file.write(second[-6:] + "\n")
    done = run(path, intake)
    assert (done.published, done.rejected) == (2, 0)
    assert [one["data"]["text"] for one in intake.events] == ["First.", "Second and last."]
    with path.open("rb") as file:
        assert not ends_unfinished(file)


def test_a_last_line_of_standard_input_needs_no_end():
    read = io.BytesIO(json.dumps(ROW).encode())
    assert len(list(rows_of(read, Position(), as_csv=False, whole_only=False))) == 1


def test_a_file_that_is_shorter_than_what_was_read_of_it_is_refused(tmp_path: Path):
    """Rows that are written there later would be passed over."""
    rows = [json.dumps({**ROW, "text": f"Cold soup {number}"}) for number in range(9)]
    path, intake = written(tmp_path, "a.jsonl", *rows), Intake()
    run(path, intake)
    written(tmp_path, "a.jsonl", *rows[:5])
    with pytest.raises(ValueError, match="it was cut"):
        run(path, intake)
    assert run(path, intake, again=True).published == 5


@pytest.mark.parametrize("source", ["", "x" * 300, "a\x00b", "/webhooks/booking", "/c"])
def test_a_source_that_the_intake_refuses_is_refused_before_anything_is_published(source: str):
    with pytest.raises(ValueError, match=r"^--source: "):
        checked_source(source)
    assert checked_source("/import") == "/import"


def test_a_row_with_a_source_or_an_id_that_the_intake_refuses_is_no_complaint():
    event = {"specversion": "1.0", "type": ComplaintRaised.TYPE, "data": ROW}
    for field, wrong in {
        "source": {"source": "/mail/a", "id": "1"},
        "id": {"source": "/a"},
    }.items():
        with pytest.raises(Unreadable, match=f"^/{field}: "):
            event_of({**event, **wrong}, site=None, source="/s", now=NOW)


def test_the_position_in_another_file_of_the_same_name_is_not_taken(tmp_path: Path):
    intake = Intake()
    path = written(tmp_path, "a.jsonl", json.dumps({**ROW, "text": "First."}))
    run(path, intake)
    written(tmp_path, "a.jsonl", json.dumps({**ROW, "text": "Other."}))
    assert run(path, intake).published == 1
    assert [one["data"]["text"] for one in intake.events] == ["First.", "Other."]


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_another_file_that_begins_alike_is_published_whole(tmp_path: Path, suffix: str):
    """As tonight's export, which has the header and the first row of yesterday's."""
    first = json.dumps({**ROW, "text": "x" * RECOGNISED_BYTES})
    told = [json.dumps({**ROW, "text": text}) for text in ("Yesterday.", "Today and longer.")]
    if suffix == "csv":
        first = f"site,text\n{SITE},{'x' * RECOGNISED_BYTES}"
        told = [f"{SITE},Yesterday.", f"{SITE},Today and longer."]
    intake = Intake()
    run(written(tmp_path, f"a.{suffix}", first, told[0]), intake)
    assert run(written(tmp_path, f"a.{suffix}", first, told[1]), intake).published == 2
    texts = [one["data"]["text"] for one in intake.events]
    assert texts[1::2] == ["Yesterday.", "Today and longer."]


def test_a_position_that_an_earlier_build_kept_is_taken(tmp_path: Path):
    path, intake = written(tmp_path, "a.jsonl", json.dumps(ROW)), Intake()
    run(path, intake)
    kept = path.with_suffix(".position")
    found = json.loads(kept.read_text())
    del found["before"]
    kept.write_text(json.dumps(found))
    with path.open("a") as file:
        file.write(json.dumps({**ROW, "text": "Later."}) + "\n")
    assert run(path, intake).published == 2
    assert [one["data"]["text"] for one in intake.events] == ["Cold soup.", "Later."]


def test_a_position_that_is_none_is_said_and_not_guessed(tmp_path: Path):
    path = written(tmp_path, "a.jsonl", json.dumps(ROW))
    for wrong in ("{", '{"other": 1}'):
        path.with_suffix(".position").write_text(wrong)
        with pytest.raises(ValueError, match="holds no position"):
            run(path, Intake())


def test_memory_is_that_of_some_rows_however_long_the_file_is(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    with path.open("w") as file:
        file.writelines(one + "\n" for one in many(20_000))
        file.write("x" * 20_000_000 + "\n")
    tracemalloc.start()
    done = run(path, lambda _events: None)  # type: ignore[arg-type]  # a topic that keeps nothing
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert done.published == 19_800
    assert most < 12_000_000


def test_an_event_is_made_of_a_row_alone_and_of_the_time():
    found = [event_of(ROW, site=None, source="/s", now=NOW) for _ in range(2)]
    assert found[0] == found[1]
    with pytest.raises(Unreadable):
        event_of({**ROW, "id": "\x00"}, site=None, source="/s", now=NOW)


def test_lines_are_counted_with_their_offsets():
    found = list(lines_of(io.BytesIO(b"a\n" + b"b" * (LINE_BYTES_MAX + 5) + b"\nc")))
    assert [(one.number, one.text) for one in found] == [(1, b"a\n"), (2, None), (3, b"c")]
    assert [one.ends for one in found] == [2, LINE_BYTES_MAX + 8, LINE_BYTES_MAX + 9]


def test_a_file_that_another_command_reads_is_refused_until_that_has_ended(tmp_path: Path):
    """Two would publish each row twice, and the one that is refused leaves the other's file of rejected rows."""
    path, command = written(tmp_path, "a.jsonl", "no row"), Typer()
    command.command()(import_file)
    rejects = tmp_path / "a.jsonl.rejects.jsonl"
    rejects.touch()
    with path.open("rb") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        refused = CliRunner(env={"KAFKA_BOOTSTRAP_SERVERS": "localhost:1"}).invoke(
            command, [str(path)]
        )
    assert refused.exit_code == 2
    assert f"{path}: another command reads it" in refused.output
    assert rejects.exists()
