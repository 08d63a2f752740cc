"""A file of complaints, imported by the command: everything is received once, also if it is given again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from shared.contracts.complaints import ComplaintReceived, ComplaintRepeated
from tests.system import auditor
from tests.system.world import SITE, World, complaint_id, world

ROWS = 700


def imported(everything: World, file: Path | str, *more: str, text: bytes = b"") -> tuple[int, str]:
    """Run the command; its status and what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "services.complaints", "import", str(file), *more],
        input=text,
        cwd=everything.services.directory,
        env={
            **os.environ,
            "KAFKA_BOOTSTRAP_SERVERS": everything.stack.bootstrap,
            "PYTHONPATH": os.getcwd(),
        },
        capture_output=True,
        timeout=300,
        check=False,
    )
    return done.returncode, done.stdout.decode() + done.stderr.decode()


def test_a_file_is_received_once_however_often_it_is_imported(tmp_path: Path):
    rows = [
        {"id": f"row-{number}", "site": SITE, "text": f"Cold soup {number}"}
        for number in range(ROWS)
    ]
    file = tmp_path / "complaints.jsonl"
    file.write_text("\n".join([*map(json.dumps, rows), "no row"]) + "\n")
    with world(tmp_path / "world") as everything:
        service = everything.start("complaints")
        service.wait_ready()
        status, said = imported(everything, file)
        assert (status, f"{ROWS} rows were published and 1 rejected" in said) == (1, True), said
        rejected = json.loads((tmp_path / "complaints.jsonl.rejects.jsonl").read_text())
        assert rejected == {"line": ROWS + 1, "why": ["not JSON in UTF-8"]}
        status, said = imported(everything, file)
        assert (status, "nothing new" in said) == (1, True), said
        assert imported(everything, file, "--again")[0] == 1
        for bad in (b"no row\n", b"\n[1]\n"):
            assert imported(everything, "-", text=bad)[0] == 1
        piped = "".join(json.dumps(one) + "\n" for one in rows[:10]).encode()
        status, said = imported(everything, "-", text=piped)
        assert (status, "10 rows were published and 0 rejected" in said) == (0, True), said
        kept = sorted(everything.services.directory.glob("stdin*"))
        assert [json.loads(one.read_text())["line"] for one in kept] == [1, 2]
        everything.settle_down("complaints")
        found = auditor.facts(everything.read())
        received = auditor.of(found, ComplaintReceived.TYPE)
        ids = [one["complaint_id"] for one in received]
        assert sorted(ids) == sorted(complaint_id(one["id"], "/import") for one in rows)
        assert len(auditor.of(found, ComplaintRepeated.TYPE)) == ROWS + 10
