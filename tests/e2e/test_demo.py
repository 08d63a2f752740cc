"""The demo is the first thing anybody runs, so it is the first thing that must work."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from demo.__main__ import VIEWER
from shared.contracts.catalogue import SERVICES

ROOT = Path(__file__).parents[2]
PATIENCE_S = 240


def ran(*words):
    return subprocess.run(
        [sys.executable, "-m", "demo", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def play(tmp_path, *words):
    report = tmp_path / "receipt.json"
    done = ran("--report", str(report), *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(report.read_text()), done.stdout


def test_the_story_is_played_to_its_end_and_everybody_agrees(tmp_path):
    receipt, shown = play(tmp_path)
    assert receipt["complaints"] == {
        "received": 37,
        "repeats": 3,
        "dead_lettered": 2,
        "acknowledged": 37,
    }
    assert receipt["checks"]["given"] == 6
    assert receipt["checks"]["refused"] == 1
    assert receipt["checks"]["amount_minor"] == {"NOK": 5 * 480_00}
    assert receipt["messages"] == {
        "acknowledgement": 37,
        "check_given": 6,
        "promise_broken": 1,
        "reopened": 1,
        "resolution_told": 1,
        "safety": 4,
        "thanked": 1,
        "touchpoint_asked": 1,
    }
    assert all(receipt["agreements"].values()), receipt["agreements"]
    assert "authority_exhausted" in shown
    assert "explained in one line" in shown
    told_as_it_is(shown)


def told_as_it_is(shown):
    """Act 3 shows the customers' letters beside those about safety, and who saw them; act 4 gives what it listed; act 6 ends in an inbox."""
    acts = dict(re.findall(r"^(\d)\. (.*?)(?=^\d\. |\Z)", shown, re.DOTALL | re.MULTILINE))
    customers, _, officers = acts["3"].partition("words about safety")
    subjects = ("We have your message", "Vi har fått meldingen din", "Vi har fått ditt meddelande")
    assert all(one in customers for one in subjects)
    assert "co-" not in customers
    assert re.search("“Sikkerhet: Aurora, [0-9A-F]{6}”", officers)
    seen = r"[0-9A-F]{6}: duty-officer was told at [\d:]{8} by email, .* seen at [\d:]{8}"
    assert len(re.findall(seen, officers)) == 4
    assert re.search(r"e-jonas, who gave .* 1 unread: [0-9A-F]{6} thanked, “[^”]+\.”", acts["6"])
    (given,) = re.findall(r"201: (\S+), code", acts["4"])
    assert f"may give {given} " in acts["4"].partition("201:")[0]


def long_ago(tmp_path, count):
    """A file of complaints that nobody would take as they are."""
    rows = ["id,review,date"]
    rows += [
        f'{n},"The soup was cold again, number {n} 🍲, and ""nobody"" came.",1998-06-0{1 + n % 9}'
        for n in range(count)
    ]
    file = tmp_path / "complaints.csv"
    file.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return file


def test_any_file_of_complaints_can_be_played_however_long_ago_they_happened(tmp_path):
    receipt, shown = play(tmp_path, "--input", str(long_ago(tmp_path, 60)), "--rate", "200")
    assert "the newest row is now" in shown
    assert receipt["complaints"]["received"] == 62, (
        "theirs, the one that nobody answers, and a guest's answer"
    )
    assert receipt["complaints"]["dead_lettered"] == 0
    assert all(receipt["agreements"].values()), receipt["agreements"]


def test_a_file_of_which_nothing_is_accepted_ends_with_a_sentence(tmp_path):
    done = ran("--input", str(long_ago(tmp_path, 7)), "--dates", "keep")
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert "✗ nothing was accepted of 7 events: 7 time_out_of_range" in done.stdout
    dead = [line for line in done.stdout.splitlines() if "dead letter" in line]
    assert len(dead) == 6, "five of them and their number"
    assert not [line for line in dead if "✓" in line], "nothing that went as it should"


def test_a_file_of_which_no_row_can_be_read_starts_nothing(tmp_path):
    file = tmp_path / "empty.csv"
    file.write_text("id,review\n1,\n", encoding="utf-8")
    done = ran("--input", str(file))
    assert done.returncode == 1
    assert "nothing to play" in done.stdout
    assert "Kafka" not in done.stdout


def read(terminal, until):
    """What is shown until it holds a text, or (None) until nobody writes any more."""
    shown, deadline = "", time.monotonic() + PATIENCE_S
    with suppress(OSError):  # Linux: the other end is closed
        while until is None or until not in shown:
            assert time.monotonic() < deadline, shown
            if select.select([terminal], [], [], 1)[0]:
                shown += os.read(terminal, 65536).decode(errors="replace")
    return shown


def through_web(origin, employee_id):
    """What somebody may give, asked as a browser does: by a sign-in, with a cookie and without a token."""
    with httpx.Client() as browser:
        begun = browser.get(f"{origin}/sign-in?device=own")
        chosen = browser.get(begun.headers["location"] + f"&who={employee_id}")
        # The client sends no secure cookie without TLS, as browsers do to localhost.
        cookies = {"Cookie": begun.headers["set-cookie"].partition(";")[0]}
        back = browser.get(chosen.headers["location"], headers=cookies)
        session = {"Cookie": back.headers["set-cookie"].partition(";")[0]}
        return browser.get(f"{origin}/api/compensation/v1/me/authority", headers=session).json()


@pytest.mark.usefixtures("interruptible")
def test_on_a_terminal_all_stays_up_until_ctrl_c_and_then_nothing_is_left():
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "demo"]
    ends = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    demo = subprocess.Popen(words, cwd=ROOT, start_new_session=True, **ends)
    os.close(theirs)
    try:
        shown = read(ours, "(local demo only): ")
        if "\n" not in shown.partition("(local demo only): ")[2]:
            shown += read(ours, "\n")
        address = r"http://127\.0\.0\.1:\d+"
        pages = re.findall(rf"(\w+) +({address})  described at ({address}/docs)", shown)
        urls = {name: url for name, url, _ in pages}
        assert urls.keys() == set(SERVICES), shown
        assert {httpx.get(page).status_code for *_, page in pages} == {200}
        (bearer,) = re.findall(r"local demo only\): (\S+)", shown)
        may = httpx.get(
            f"{urls['compensation']}/v1/me/authority",
            headers={"Authorization": f"Bearer {bearer}"},
        ).json()
        assert all(scope["left_minor"] for scope in may["scopes"]), "the viewer can give something"
        (origin,) = re.findall(r"an employee gives +(\S+)/app/ ", shown)
        (form,) = re.findall(r"a guest says what happened +(\S+)", shown)
        assert "</form>" in httpx.get(form).text
        app = httpx.get(f"{origin}/app/")
        assert ('id="app"' in app.text) is ("the rest works without it" not in shown), shown
        assert through_web(origin, VIEWER) == may, "the same by a sign-in in a browser"
        os.killpg(demo.pid, signal.SIGINT)
        rest = read(ours, None)
        assert demo.wait(PATIENCE_S) == 0, rest
        assert "Traceback" not in shown + rest
        for _, *closed in pages:
            for page in closed:
                with pytest.raises(httpx.ConnectError):
                    httpx.get(page)
        with pytest.raises(ProcessLookupError):
            os.killpg(demo.pid, 0)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(demo.pid, signal.SIGKILL)
        demo.wait()
        os.close(ours)
