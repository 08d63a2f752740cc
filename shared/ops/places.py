"""Print posters for the places of a site: whoever scans one says there what happened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import segno
import typer

from shared.contracts.complaints import Language
from shared.contracts.policy import Names, Policy
from shared.ops import policy
from shared.ops.pdf import Colour, Sheet, document, width_of
from shared.ops.topics import BootstrapOption, bootstrap_servers
from shared.runtime.words import capitalised, say

#: A4 in points; a sheet of A6 is the same at half the size.
A4 = (595.276, 841.89)
SIZES = {"A4": 1.0, "A6": 0.5}
#: What follows are points of A4.
MARGIN, QR = 56.0, 340.0
INK, GREEN, SOFT = (0.1, 0.1, 0.1), (0.04, 0.35, 0.25), (0.35, 0.38, 0.36)


def form_url(public_url: str, site: str, place: str) -> str:
    """Where the open form of a place is."""
    return f"{public_url.rstrip('/')}/c/{quote(site, safe='')}/{quote(place, safe='')}"


def posters(found: Policy, public_url: str, factor: float) -> list[Sheet]:
    """One sheet for each place; raises ValueError for a name that cannot be drawn."""
    return [
        poster(found, names, form_url(public_url, found.site, place), factor)
        for place, names in found.places.items()
    ]


def poster(found: Policy, names: Names, url: str, factor: float) -> Sheet:
    """The sheet of one place: the site, the place, its code, and what it is for in every language of the site."""
    first, *others = found.languages
    sheet = Sheet(A4[0] * factor, A4[1] * factor)
    y = MARGIN - 20

    def line(words: str, size: float, colour: Colour, *, bold: bool) -> None:
        nonlocal y
        size = fitted(words, size, bold=bold)
        for part in wrapped(words, size, bold=bold):
            y += size * 1.25
            sheet.text(MARGIN * factor, y * factor, size * factor, part, colour, bold=bold)

    line(found.site_name, 20, GREEN, bold=True)
    y += 8
    title = capitalised(names[first])
    short = len([*wrapped(title, 48, bold=True)]) == 1
    line(title, 48 if short else 32, INK, bold=True)
    y += 8
    line(" · ".join(_others(names, first, others)), 17, SOFT, bold=False)
    y += 24
    draw_code(sheet, url, MARGIN, y, factor)
    y += QR + 10
    line(say(first, "poster.scan"), 22, INK, bold=True)
    y += 4
    for language in others:
        y += 5
        line(say(language, "poster.scan"), 15, INK, bold=False)
    y = A4[1] - MARGIN
    line(url.partition("://")[2], 11, SOFT, bold=False)
    return sheet


def draw_code(sheet: Sheet, url: str, x: float, y: float, factor: float) -> None:
    """Draw a QR code whose dark part begins at x and y, and is as wide as all of them are."""
    rows = list(segno.make(url, error="m", micro=False).matrix)
    module = QR / len(rows)
    boxes = [
        (
            (x + begins * module) * factor,
            (y + number * module) * factor,
            (ends - begins) * module * factor,
            module * factor,
        )
        for number, row in enumerate(rows)
        for begins, ends in _dark(row)
    ]
    sheet.boxes(boxes, (0.0, 0.0, 0.0))


def _dark(row: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Where dark modules of a row begin and end."""
    begins = None
    for place, dark in enumerate([*row, 0]):
        if dark and begins is None:
            begins = place
        elif not dark and begins is not None:
            yield begins, place
            begins = None


def _others(names: Names, first: Language, others: Sequence[Language]) -> list[str]:
    """What the place is called in the other languages, each name once."""
    found = dict.fromkeys(capitalised(names[language]) for language in others)
    return [one for one in found if one != capitalised(names[first])]


def fitted(words: str, size: float, *, bold: bool) -> float:
    """The size at which the longest word fits a line."""
    room = A4[0] - 2 * MARGIN
    return min([size, *(size * room / width_of(one, size, bold=bold) for one in words.split())])


def wrapped(words: str, size: float, *, bold: bool) -> Iterator[str]:
    """The lines of a text; none of an empty one."""
    line = ""
    for word in words.split():
        if line and width_of(f"{line} {word}", size, bold=bold) > A4[0] - 2 * MARGIN:
            yield line
            line = word
        else:
            line = f"{line} {word}".strip()
    if line:
        yield line


app = typer.Typer(name="places", help="Posters for the places of a site.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """A group, also with one command."""


@app.command("print")
def print_command(
    site: Annotated[str, typer.Argument(metavar="SITE", help="A site with a policy.")],
    public_url: Annotated[
        str,
        typer.Option(
            "--url",
            envvar="SERVICE_CHECK_PUBLIC_URL",
            help="Where customers reach complaints, as https://check.example.",
        ),
    ],
    folder: Annotated[Path, typer.Option("--to", help="Where the files are written.")] = Path(),
    bootstrap: BootstrapOption = None,
) -> None:
    """Write SITE-A4.pdf and SITE-A6.pdf: a sheet for each place that the site's policy names."""
    fact = policy.newest(site, bootstrap_servers(bootstrap))
    if fact is None or not fact.policy.places:
        typer.echo(f"{site} has no policy that names places", err=True)
        raise typer.Exit(1)
    found = fact.policy
    folder.mkdir(parents=True, exist_ok=True)
    for name, factor in SIZES.items():
        file = folder / f"{site}-{name}.pdf"
        try:
            sheets = posters(found, public_url, factor)
        except ValueError as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(1) from error
        file.write_bytes(document(sheets, f"{found.site_name}, {name}", found.languages[0]))
        typer.echo(f"{file}: {len(sheets)} posters, {', '.join(found.places)}")
