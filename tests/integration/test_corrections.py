"""An operator prints what an employee put right on a real store, beside the running service."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from services.complaints.triage import history
from tests.integration.test_raising import operator
from tests.system.world import SITE, complaint, complaint_id, world

TRIAGE = ("-m", "services.complaints", "triage")


def test_what_was_put_right_is_a_file_that_training_reads(tmp_path: Path):
    """INV-07: the customer's words are on standard output and in no log."""
    words = "Suppen var kald, sier zqvxcanary."
    with world(tmp_path) as everything:
        service = everything.start("complaints")
        service.wait_ready()
        everything.publish([complaint("c1", text=words, language="nb", at=datetime.now(UTC))])
        everything.settle_down("complaints")
        nothing = operator(everything, *TRIAGE, "corrections", SITE)
        assert (nothing.returncode, nothing.stdout) == (1, ""), nothing.stderr
        with everything.phone("complaints") as phone:
            answer = phone.post(
                f"/v1/complaints/{complaint_id('c1')}/correct",
                json={"category": "noise"},
                headers={"Idempotency-Key": "k1"},
            )
        assert answer.status_code == 200, answer.text
        done = operator(everything, *TRIAGE, "corrections", SITE)
        assert done.returncode == 0, done.stderr
        assert "zqvxcanary" not in done.stderr
        assert b"zqvxcanary" not in service.log.read_bytes()
    file = tmp_path / "corrections.jsonl"
    file.write_text(done.stdout, encoding="utf-8")
    (row,) = history.read(file).examples
    assert (row.text, row.language, row.labels["category"]) == (words, "nb", "noise")
