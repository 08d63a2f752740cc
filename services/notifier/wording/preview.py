"""python -m services.notifier preview OCCASION: a letter with example values, to read before it is sent."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import Annotated

import typer

from services.notifier.wording.examples import variants_of, written
from services.notifier.wording.wording import Rendered, Wording
from shared.contracts.complaints import Language
from shared.contracts.notifier import Occasion

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.callback()
def commands() -> None:
    """Commands of the notifier. Without one, `python -m services.notifier` runs the service."""


@app.command()
def preview(
    occasion: Annotated[Occasion, typer.Argument(help="Why the letter is sent.")],
    language: Annotated[Language, typer.Option(help="The customer's language.")] = Language.EN,
    variant: Annotated[str, typer.Option(help="A variant, as the gallery names it.")] = "plain",
    text: Annotated[bool, typer.Option("--text", help="The plain text instead of HTML.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Write to this file; else to the output.")
    ] = None,
) -> None:
    """Write a letter with example values."""
    variants = variants_of(occasion)
    if variant not in variants:
        raise typer.BadParameter(f"not one of: {', '.join(variants)}", param_hint="--variant")
    letter = written(Wording(), occasion, language, variants[variant])
    shown = f"Subject: {letter.subject}\n\n{letter.text}" if text else embedded(letter)
    if out is None:
        typer.echo(shown, nl=False)
    else:
        out.write_text(shown, encoding="utf-8")


def embedded(letter: Rendered) -> str:
    """The HTML with its pictures inside, as a browser shows it without the mail."""
    html = letter.html
    for name, picture in letter.pictures.items():
        html = html.replace(f"cid:{name}", f"data:image/png;base64,{b64encode(picture).decode()}")
    return html
