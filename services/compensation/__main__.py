"""python -m services.compensation: settings, build, run; with a word after it, a command."""

from __future__ import annotations

import sys

from services.compensation.app import build
from services.compensation.settings import Settings
from services.compensation.whatif.command import app
from shared.runtime.service import main

if __name__ == "__main__":
    if sys.argv[1:]:
        app(prog_name="python -m services.compensation")
    else:
        main(Settings, build)
