"""python -m services.complaints triage corrections: what employees put right, as rows that `triage train` reads."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Annotated

import typer

from services.complaints.customer.commands import beside
from services.complaints.lifecycle.rules import Complaint, put_right_at
from services.complaints.triage.model import learnable
from shared.runtime.engine.store import RANGE_MAX, Cursor
from shared.runtime.engine.view import View
from shared.runtime.privacy.keys import CustomerKey, Keys
from shared.runtime.service import Runtime

ROWS = "rows"
#: Why a complaint is no row.
SAFETY, ANNOUNCED, SCORE_ONLY, UNSUPPORTED, UNREADABLE = (
    "about safety, which is not learnt",
    "announced by another system, without words of a customer",
    "answered by a score alone, without words of a customer",
    "in a language that is not read here, which a model would take for English",
    "without words that can be read now",
)


def corrections_command(
    site: Annotated[
        str, typer.Argument(metavar="SITE", help="The site whose complaints are read.")
    ],
) -> None:
    """Print complaints whose category or severity employees put right, as rows to train a model on.

    The rows are customers' own words in the clear: keep them as you keep exports, and delete them after training.
    """
    counts = beside(partial(_print, site))
    rows = counts.pop(ROWS, 0)
    for why, count in sorted(counts.items()):
        typer.echo(f"left out: {count} complaints {why}", err=True)
    if not rows:
        typer.echo(f"{site} has no complaint to learn from that was put right", err=True)
        raise typer.Exit(1)
    typer.echo(
        f"{rows} rows hold customers' own words, each beside its customer_ref: keep the file where exports are kept,"
        " take out the rows of whoever is erased, and delete it once a model is trained.",
        err=True,
    )


async def _print(site: str, parts: Runtime) -> Counter[str]:
    return await corrections(site, parts.settler.view, Keys(parts.vault), typer.echo)


async def corrections(
    site: str, view_of: Callable[[], View], keys: Keys, write: Callable[[str], object]
) -> Counter[str]:
    """Write a line of JSON for each complaint of a site that was put right, latest first; how many, and what was left out.

    Those of erased customers are not there, and one page of the others is in memory at a time. May block; raises
    Unavailable while the store is away.
    """
    counts: Counter[str] = Counter()
    after: Cursor | None = None
    while True:
        view = view_of()
        page = await view.range(Complaint, put_right_at(site), after, RANGE_MAX)
        await view.prefetch([CustomerKey.key(one.customer_ref) for _, one in page.documents])
        for _, complaint in page.documents:
            row = await _row(complaint, keys, view)
            if isinstance(row, str):
                counts[row] += 1
            else:
                write(json.dumps(row, ensure_ascii=False))
                counts[ROWS] += 1
        if page.next is None:
            return counts
        after = page.next


async def _row(complaint: Complaint, keys: Keys, view: View) -> dict[str, str] | str:
    """A complaint as a row, or why it is none; raises Unavailable."""
    if complaint.safety or not learnable("category", complaint.category):
        return SAFETY
    if complaint.disruption is not None:
        return ANNOUNCED
    if complaint.score_only:
        return SCORE_ONLY
    if complaint.unsupported_language:
        return UNSUPPORTED
    sealed = {"text": complaint.text}
    words = await keys.readable_words(complaint.customer_ref, sealed, complaint.received_at, view)
    if not words.get("text"):
        return UNREADABLE
    subcategory = complaint.subcategory
    return {
        "text": words["text"],
        "language": complaint.language,
        "category": f"{complaint.category}.{subcategory}" if subcategory else complaint.category,
        "severity": complaint.severity,
        "customer": complaint.customer_ref,
    }
