"""Sheets of text and filled boxes as a PDF (ISO 32000-1), in two fonts that every reader has.

A poster is nothing else, and a library for PDF would bring fonts and pictures with it.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

#: What the fonts can write: Western European letters.
ENCODING = "cp1252"
#: How wide letters are in ems, a little more than they are, so that no line leaves its sheet: narrow, broad, capital, other.
NARROW, BROAD = " .,:;'!|()[]/fijltI-", "mwMW@%–—"
REGULAR_EMS, BOLD_EMS = (0.3, 1.02, 0.74, 0.56), (0.35, 1.02, 0.76, 0.615)

Colour = tuple[float, float, float]


def width_of(words: str, size: float, *, bold: bool) -> float:
    """How wide words are at a size, in points; never less than they are drawn."""
    narrow, broad, capital, other = BOLD_EMS if bold else REGULAR_EMS
    ems = 0.0
    for letter in words:
        if letter in NARROW:
            ems += narrow
        elif letter in BROAD:
            ems += broad
        else:
            ems += capital if letter.isupper() else other
    return ems * size


@dataclass
class Sheet:
    """One page, in points from its top left corner."""

    width: float
    height: float
    drawn: list[str] = field(default_factory=list)

    def text(
        self, x: float, y: float, size: float, words: str, colour: Colour, *, bold: bool = False
    ) -> None:
        """Draw one line, `y` at its foot; raises ValueError for a letter that the fonts do not have."""
        try:
            plain = words.encode(ENCODING)
        except UnicodeEncodeError as error:
            msg = f"“{words}” has letters that a poster's fonts do not have"
            raise ValueError(msg) from error
        font = "B" if bold else "R"
        self.drawn.append(
            f"BT {_numbers(colour)} rg /{font} {size:.2f} Tf {_numbers((x, self.height - y))} Td "
            f"<{plain.hex()}> Tj ET"
        )

    def boxes(self, boxes: Sequence[tuple[float, float, float, float]], colour: Colour) -> None:
        """Fill boxes of x, y, width and height."""
        drawn = " ".join(
            f"{_numbers((x, self.height - y - height, width, height))} re"
            for x, y, width, height in boxes
        )
        self.drawn.append(f"{_numbers(colour)} rg {drawn} f")


def document(sheets: Sequence[Sheet], title: str, language: str) -> bytes:
    """The file."""
    first = 6
    kids = " ".join(f"{first + 2 * number} 0 R" for number in range(len(sheets)))
    objects = [
        f"<< /Type /Catalog /Pages 2 0 R /Lang ({language}) /ViewerPreferences << /DisplayDocTitle true >> >>".encode(),
        f"<< /Type /Pages /Kids [{kids}] /Count {len(sheets)} >>".encode(),
        _font("Helvetica"),
        _font("Helvetica-Bold"),
        f"<< /Title <feff{title.encode('utf-16-be').hex()}> >>".encode(),
    ]
    for number, sheet in enumerate(sheets):
        content = zlib.compress("\n".join(sheet.drawn).encode())
        objects += [
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {_numbers((sheet.width, sheet.height))}] "
            f"/Resources << /Font << /R 3 0 R /B 4 0 R >> >> /Contents {first + 2 * number + 1} 0 R >>".encode(),
            b"<< /Length %d /Filter /FlateDecode >>\nstream\n%b\nendstream"
            % (len(content), content),
        ]
    file, places = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", []
    for number, one in enumerate(objects, start=1):
        places.append(len(file))
        file += b"%d 0 obj\n%b\nendobj\n" % (number, one)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    trailer = f"<< /Size {len(objects) + 1} /Root 1 0 R /Info 5 0 R >>".encode()
    return b"%bxref\n0 %d\n0000000000 65535 f \n%btrailer\n%b\nstartxref\n%d\n%%%%EOF\n" % (
        file, len(objects) + 1, table, trailer, len(file),
    )  # fmt: skip


def _font(name: str) -> bytes:
    return (
        f"<< /Type /Font /Subtype /Type1 /BaseFont /{name} /Encoding /WinAnsiEncoding >>".encode()
    )


def _numbers(given: Sequence[float]) -> str:
    return " ".join(f"{one:.3f}".rstrip("0").rstrip(".") for one in given)
