"""Files of complaints: what is read, what is guessed, what is reported."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from demo.input import InputError, Row, Unreadable, as_event, rows, shifted
from services.complaints.intake.rules import plausible
from shared.contracts.event import Event
from shared.contracts.intake import ComplaintRaised

pytestmark = pytest.mark.unit

NOW = datetime(2026, 6, 4, 8, 0, tzinfo=UTC)
DEMO = Path(__file__).parents[2] / "demo" / "complaints.jsonl"


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(path: Path, **columns: str) -> tuple[list[Row], list[Unreadable]]:
    unreadable: list[Unreadable] = []
    return list(rows(path, report=unreadable.append, **columns)), unreadable


def test_rows_of_long_ago_are_moved_so_that_the_newest_is_now_and_their_distances_stay():
    """None of them lies where the intake refuses it, whatever a single odd year says."""

    def dated(*moments: str | None) -> list[Row]:
        return [
            Row(text="x", occurred_at=moment, language=None, id=f"{n}", position=n, source="/f")
            for n, moment in enumerate(moments)
        ]

    old = dated("2015-02-17T00:00:00.000Z", "2015-02-24T12:00:00.000Z", None)
    moved, by = shifted(old, NOW)
    assert [row.occurred_at for row in moved] == [
        "2026-05-27T20:00:00.000Z",
        "2026-06-04T08:00:00.000Z",
        None,
    ]
    assert by == NOW - datetime(2015, 2, 24, 12, tzinfo=UTC)
    odd, _ = shifted(dated("9999-12-31T23:59:59.000Z", "2015-02-17T00:00:00.000Z"), NOW)
    assert all(plausible(datetime.fromisoformat(row.occurred_at or ""), NOW) for row in odd), odd
    assert shifted(dated(None), NOW) == (dated(None), timedelta(0))


@pytest.mark.parametrize(
    "header",
    ["text", "Review Body", "review_content", "\ufeffCOMMENT", "Consumer complaint narrative"],
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_text_column_is_guessed_in_any_spelling_and_any_delimiter(
    tmp_path: Path, header: str, delimiter: str
) -> None:
    lines = [
        [header, "review_id", "Date Published", "lang"],
        ["cold soup", "7", "2026-06-01", "en"],
    ]
    path = written(tmp_path, "a.csv", "\n".join(map(delimiter.join, lines)))
    ((row,), unreadable) = read(path)
    assert (row.text, row.id, row.language) == ("cold soup", "7", "en")
    assert row.occurred_at == "2026-06-01T00:00:00.000Z"
    assert unreadable == []


def test_a_column_can_be_named_and_a_wrong_name_lists_what_there_is(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "text,Said\nno,yes\n")
    assert read(path, text_column="said")[0][0].text == "yes"
    with pytest.raises(InputError, match="no column 'words'; there are 'text', 'Said'"):
        read(path, text_column="words")


def test_a_file_without_a_guess_says_which_columns_it_has(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="name one; there are 'stars', 'label'"):
        read(written(tmp_path, "a.csv", "stars,label\n5,x\n"))


@pytest.mark.parametrize(
    ("name", "reason"), [("a.xlsx", "only .csv"), ("none.csv", "no such file"), ("b.csv", "column")]
)
def test_a_file_that_cannot_be_used_is_an_error_at_once(
    tmp_path: Path, name: str, reason: str
) -> None:
    written(tmp_path, "a.xlsx", "x")
    written(tmp_path, "b.csv", "")
    with pytest.raises(InputError, match=reason):
        read(tmp_path / name)


def test_every_line_of_a_csv_gives_a_row_or_a_reason(tmp_path: Path) -> None:
    content = (
        b'id,text\n1,"two\nlines, one ""row"""\n2\n3,a,b\n4,\n5,\xff\xfe\n6,\xf0\x9f\xa5\xb6 good\n'
    )
    ok, unreadable = read(written(tmp_path, "a.csv", content))
    assert [row.text for row in ok] == ['two\nlines, one "row"', "🥶 good"]
    assert [(u.line, u.reason) for u in unreadable] == [
        (4, "1 fields, the header has 2"),
        (5, "3 fields, the header has 2"),
        (6, "nothing in the column 'text'"),
        (7, "not UTF-8"),
    ]


def test_every_line_of_a_json_lines_file_gives_a_row_or_a_reason(tmp_path: Path) -> None:
    content = b'{"text":"a"}\n\n[1]\n{"text":\n\xff\n{"text":"b","id":9}\n{"label":1}\n'
    ok, unreadable = read(written(tmp_path, "a.jsonl", content))
    assert [row.text for row in ok] == ["a", "b"]
    assert [u.line for u in unreadable] == [3, 4, 5, 7]


def test_a_very_long_field_is_read_whole(tmp_path: Path) -> None:
    ((row,), _) = read(written(tmp_path, "a.csv", "text\n" + "x" * 500_000))
    assert len(row.text) == 500_000


def test_ids_are_the_same_each_time_and_differ_for_equal_texts(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "text\nsame\nsame\n")
    first, again = read(path)[0], read(path)[0]
    assert [row.id for row in first] == [row.id for row in again]
    assert len({row.id for row in first}) == 2


@pytest.mark.parametrize(
    ("date", "moment"),
    [
        ("2015-02-24 11:35:52 -0800", "2015-02-24T19:35:52.000Z"),
        ("21st August 2024", "2024-08-21T00:00:00.000Z"),
        ("2024-08-21T10:00:00+02:00", "2024-08-21T08:00:00.000Z"),
        ("last week", None),
        ("9999-12-31T23:59:59-12:00", None),
    ],
)
def test_a_date_is_rfc_3339_or_left_out(tmp_path: Path, date: str, moment: str | None) -> None:
    ((row,), _) = read(written(tmp_path, "a.csv", f"text,date\nx,{date}\n"))
    assert row.occurred_at == moment


def test_a_row_becomes_an_event_that_the_intake_takes(tmp_path: Path) -> None:
    ((row,), _) = read(written(tmp_path, "a.csv", 'text,language\n"“odd” quotes 🤷",sv\n'))
    event = Event[ComplaintRaised].model_validate_json(as_event(row, site="ms-aurora", time=NOW))
    assert event.data.text == "“odd” quotes 🤷"
    assert event.data.customer == "guest-1"
    assert event.data.contact is not None
    assert event.data.contact.email == "guest-1@example.com"
    assert (event.data.language, event.data.site) == ("sv", "ms-aurora")


def test_the_demo_file_has_forty_lines_three_repeats_and_two_that_are_malformed() -> None:
    lines = DEMO.read_bytes().splitlines()
    assert len(lines) == 40
    good = []
    for line in lines:
        try:
            good.append((Event[ComplaintRaised].model_validate_json(line), line))
        except ValueError:
            continue
    assert len(good) == 38
    assert len({(event.source, event.id) for event, _ in good}) == 35
    assert len({line for _, line in good}) == 35


def test_the_demo_file_reaches_nobody() -> None:
    for line in DEMO.read_text(encoding="utf-8").splitlines():
        try:
            contact = json.loads(line)["data"].get("contact")
        except ValueError:
            assert "@" not in line
            continue
        if contact:
            assert contact["email"].rpartition("@")[2].startswith("example.")
