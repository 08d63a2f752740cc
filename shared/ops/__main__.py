"""`python -m shared.ops`: the table of contents of the operator commands, one module per group."""

from __future__ import annotations

import typer

from shared.ops import docs, fingerprint, manifests, policy, rebuild, roster, token, topics

app = typer.Typer(
    help="Commands for whoever runs Service Check.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,  # Locals may hold what a customer wrote.
)
for group in (topics, policy, roster, rebuild, fingerprint, token, docs, manifests):
    app.add_typer(group.app)

if __name__ == "__main__":
    app(prog_name="python -m shared.ops")
