"""python -m services.complaints: settings, build, run; with arguments, one of its commands."""

from __future__ import annotations

import sys

from services.complaints.app import build
from services.complaints.settings import Settings
from shared.runtime.service import main

if __name__ == "__main__":
    if sys.argv[1:]:
        from services.complaints.customer.commands import app
        from services.complaints.intake.commands import import_file
        from services.complaints.triage.commands import app as triage
        from services.complaints.triage.corrections import corrections_command

        app.command("import")(import_file)
        triage.command("corrections")(corrections_command)
        app.add_typer(triage, name="triage")
        app(prog_name="python -m services.complaints")
    main(Settings, build)
