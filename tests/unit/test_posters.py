"""Posters for places: what is on them is read back from the file."""

from __future__ import annotations

import re
import zlib
from pathlib import Path

import pytest
import segno
from typer.testing import CliRunner

from shared.contracts.policy import Policy, PolicyPublished
from shared.ops import policy as policies
from shared.ops.__main__ import app
from shared.ops.pdf import document
from shared.ops.places import A4, MARGIN, QR, SIZES, form_url, poster, posters
from shared.runtime.words import capitalised, say
from tests.suites.services import demo_policy

URL = "https://check.example/"


def streams(file: bytes) -> list[str]:
    """What is drawn on each page."""
    found = re.findall(rb"stream\n(.*?)\nendstream", file, re.DOTALL)
    return [zlib.decompress(one).decode() for one in found]


def lines(drawn: str) -> list[tuple[float, float, str]]:
    """The texts of a page, each with its place from the bottom left corner."""
    found = re.findall(r"Tf (\S+) (\S+) Td <(\w+)> Tj", drawn)
    return [(float(x), float(y), bytes.fromhex(text).decode("cp1252")) for x, y, text in found]


def code(drawn: str, factor: float) -> list[list[int]]:
    """The modules of the QR code of a page, from the boxes that are filled."""
    boxes = [
        [float(one) for one in found] for found in re.findall(r"(\S+) (\S+) (\S+) (\S+) re", drawn)
    ]
    module = boxes[0][3]
    count = round(QR * factor / module)
    top = max(y + height for _, y, _, height in boxes)
    rows = [[0] * count for _ in range(count)]
    for x, y, width, height in boxes:
        begins = round((x - MARGIN * factor) / module)
        for place in range(begins, begins + round(width / module)):
            rows[round((top - y - height) / module)][place] = 1
    return rows


@pytest.mark.parametrize(("name", "factor"), SIZES.items())
def test_a_poster_says_site_and_place_in_every_language_and_its_code_leads_to_the_form(
    name: str, factor: float
) -> None:
    found = demo_policy()
    file = document(posters(found, URL, factor), name, "nb")
    assert len(streams(file)) == len(found.places)
    for drawn, (place, names) in zip(streams(file), found.places.items(), strict=True):
        said = " ".join(text for _, _, text in lines(drawn))
        for words in (
            found.site_name,
            *map(capitalised, names.values()),
            f"check.example/c/{found.site}/{place}",
        ):
            assert words in said
        for language in found.languages:
            assert say(language, "poster.scan") in said
        leads = f"https://check.example/c/{found.site}/{place}"
        assert code(drawn, factor) == [
            [int(one) for one in row] for row in segno.make(leads, error="m", micro=False).matrix
        ]


def test_a_file_is_what_readers_take_for_a_pdf() -> None:
    """Each object is where the table says, and the pages have the sizes of paper."""
    file = document(posters(demo_policy(), URL, 0.5), "A6", "nb")
    assert file.startswith(b"%PDF-1.4\n")
    start = int(re.findall(rb"startxref\n(\d+)\n%%EOF\n$", file)[0])
    assert file[start : start + 4] == b"xref"
    places = [int(one) for one in re.findall(rb"^(\d{10}) 00000 n $", file, re.MULTILINE)]
    for number, place in enumerate(places, start=1):
        assert file[place:].startswith(b"%d 0 obj\n" % number)
    width, height = (float(one) for one in re.findall(rb"MediaBox \[0 0 (\S+) (\S+)\]", file)[0])
    assert (width * 25.4 / 72, height * 25.4 / 72) == pytest.approx((105, 148), abs=0.6)


def test_long_names_are_wrapped_and_stay_on_the_sheet() -> None:
    found = demo_policy()
    long = dict.fromkeys(found.languages, "Restaurangen Skärgårdsutsikten på däck sju, akterut")
    sheet = poster(found, long, form_url(URL, found.site, "a"), 1.0)
    drawn = lines("\n".join(sheet.drawn))
    assert all(MARGIN <= x and MARGIN - 20 <= y <= A4[1] for x, y, _ in drawn)
    assert len({round(y) for _, y, _ in drawn}) == len(drawn), "no line is over another"
    words = dict.fromkeys(found.languages, "Donaudampfschifffahrtsgesellschaftsrestaurant")
    poster(found, words, form_url(URL, found.site, "a"), 1.0)


def test_a_name_that_the_fonts_do_not_have_is_refused() -> None:
    found = demo_policy()
    with pytest.raises(ValueError, match="“Łódź” has letters"):
        poster(found, dict.fromkeys(found.languages, "Łódź"), URL, 1.0)


def test_the_command_writes_both_sizes_of_the_policy_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: Policy = demo_policy()
    facts = {found.site: PolicyPublished(site=found.site, version=3, policy=found)}
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "nowhere.invalid:1")
    monkeypatch.setattr(policies, "newest", lambda site, _: facts.get(site))
    words = ["places", "print", found.site, "--url", URL, "--to", str(tmp_path)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert {one.name for one in tmp_path.iterdir()} == {
        f"{found.site}-A4.pdf",
        f"{found.site}-A6.pdf",
    }
    words[2] = "nowhere"
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 1
    assert "nowhere has no policy that names places" in done.output
