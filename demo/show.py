"""The demo's output: colours and live counts on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.status import Status
from rich.table import Table


class Show:
    """The terminal view."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self.live = sys.stdout.isatty()
        self._status: Status | None = None

    def act(self, number: int, title: str) -> None:
        """A new act."""
        self.busy(None)
        self._console.print()
        self._console.print(f"[bold cyan]{number}. {escape(title)}[/]")

    def say(self, line: str) -> None:
        """One line."""
        self._console.print("   " + escape(line))

    def good(self, line: str) -> None:
        """One line about something that went as it should."""
        self._console.print(f"   [green]✓[/] {escape(line)}")

    def bad(self, line: str) -> None:
        """One line about something that did not."""
        self._console.print(f"   [bold red]✗[/] {escape(line)}")

    def note(self, line: str) -> None:
        """One line about an expected refusal."""
        self._console.print(f"   [yellow]![/] {escape(line)}")

    def busy(self, what: str | None) -> None:
        """Show what is going on now, None for nothing; without a terminal a line of its own."""
        if not self.live:
            if what:
                self._console.print("   … " + escape(what))
            return
        if self._status is not None:
            self._status.stop()
            self._status = None
        if what:
            self._status = self._console.status(escape(what))
            self._status.start()

    def table(self, title: str, rows: Iterable[tuple[str, Any]]) -> None:
        """Two columns."""
        self.busy(None)
        if not self.live:
            self.say(title)
            for name, value in rows:
                self.say(f"  {name:<38} {value}")
            return
        table = Table(title=title, title_justify="left", show_header=False, min_width=56)
        for name, value in rows:
            table.add_row(escape(name), escape(str(value)))
        self._console.print(table)
