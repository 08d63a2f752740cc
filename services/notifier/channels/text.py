"""What a text message says, and how many segments it takes: pure rules."""

from __future__ import annotations

#: The alphabet of GSM 03.38 (3GPP TS 23.038, 6.2.1), one septet each.
GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    "ÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
#: Its extension table (6.2.1.1): an escape and a septet, which stay together.
GSM_EXTENDED = frozenset("^{}\\[~]|€")
#: Units of one segment, and of each where there are several: the header that joins them takes the rest.
GSM_ONE, GSM_EACH = 160, 153
UCS2_ONE, UCS2_EACH = 70, 67
#: Says that words were cut; a single "…" is not in GSM's alphabet and would halve the room.
CUT = "..."


def segments(text: str) -> int:
    """The segments that networks send a text in, in GSM-7 if they can and in UCS-2 if they cannot."""
    if all(one in GSM or one in GSM_EXTENDED for one in text):
        return _count([2 if one in GSM_EXTENDED else 1 for one in text], GSM_ONE, GSM_EACH)
    return _count([2 if ord(one) > 0xFFFF else 1 for one in text], UCS2_ONE, UCS2_EACH)


def _count(units: list[int], one: int, each: int) -> int:
    if sum(units) <= one:
        return 1
    count, left = 1, each
    for unit in units:
        if unit > left:  # a pair is not divided
            count, left = count + 1, each
        left -= unit
    return count


def fitted(words: str, link: str, segments_max: int) -> str:
    """Words and a link as one text of at most `segments_max` segments.

    Words are cut, at a blank if there is one near; a link is never cut, also where it alone takes more.
    """
    words = " ".join(words.split())
    whole = _joined(words, link)
    if segments(whole) <= segments_max:
        return whole
    # The first length that does not fit, by bisection: a longer text never takes fewer segments of the
    # same alphabet, and where the alphabet changes the shorter text takes fewer.
    low, high = 0, len(words)
    while low < high:
        middle = (low + high + 1) // 2
        if segments(_joined(words[:middle] + CUT, link)) <= segments_max:
            low = middle
        else:
            high = middle - 1
    if not low:  # no word fits beside the link; without a link some words always do
        return link
    kept = words[:low]
    blank = kept.rfind(" ")
    if blank > low // 2:
        kept = kept[:blank]
    return _joined(kept.rstrip() + CUT, link)


def _joined(words: str, link: str) -> str:
    return " ".join(filter(None, (words, link)))
