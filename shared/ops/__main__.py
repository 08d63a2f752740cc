"""`python -m shared.ops`: the table of contents of the operator commands, one module per group."""

from __future__ import annotations

import sys

import typer
from typer.exceptions import TyperException

from shared.ops import (
    audit,
    backup,
    customer,
    dlq,
    docs,
    fingerprint,
    manifests,
    places,
    policy,
    raising,  # noqa: F401 - a command of `topics`, which it imports
    rebuild,
    roster,
    status,
    store,
    token,
    topics,
)

app = typer.Typer(
    help="Commands for whoever runs Service Check.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,  # Locals may hold what a customer wrote.
)
for group in (
    status,
    topics,
    policy,
    places,
    roster,
    dlq,
    rebuild,
    backup,
    audit,
    customer,
    fingerprint,
    store,
    token,
    docs,
    manifests,
):
    app.add_typer(group.app)


def main() -> int:
    """Run one command; a usage error is one sentence on standard error and exit status 2."""
    try:
        return app(prog_name="python -m shared.ops", standalone_mode=False) or 0
    except typer.Exit as ended:
        return ended.exit_code
    except TyperException as wrong:
        typer.echo(
            wrong.format_message() if isinstance(wrong, typer.BadParameter) else str(wrong),
            err=True,
        )
        return 2


if __name__ == "__main__":
    sys.exit(main())
