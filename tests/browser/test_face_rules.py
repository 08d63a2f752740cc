"""Rules of the faces that need no page: run by Node, as the build has them."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from devstack import web

pytestmark = pytest.mark.usefixtures("built")

#: Calls a function of a module with each of some lists of arguments; prints what it returns.
RUN = """
import {readFileSync} from "node:fs";
import ts from "typescript";
const [path, name, given] = process.argv.slice(1);
const options = {module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022};
const {outputText} = ts.transpileModule(readFileSync(path, "utf-8"), {compilerOptions: options});
const found = await import("data:text/javascript," + encodeURIComponent(outputText));
console.log(JSON.stringify(JSON.parse(given).map(one => found[name](...one))));
"""


def called(path: str, name: str, *given: list[Any]) -> list[Any]:
    """What a function of a module below web/src returns for each list of arguments."""
    words = [web.node_folder() / "node", "--input-type=module", "-e", RUN, f"src/{path}", name]
    done = subprocess.run(
        [*words, json.dumps(given)], cwd=web.WEB, capture_output=True, text=True, check=True
    )
    found: list[Any] = json.loads(done.stdout)
    return found


def test_a_length_of_time_is_said_in_whole_units_and_never_as_more_than_it_is() -> None:
    said = {
        20: (1, "minute"), 59.6: (1, "minute"), 60: (1, "minute"), 119: (1, "minute"),
        1_200: (20, "minute"), 3_599: (59, "minute"), 3_600: (1, "hour"), 5_400: (90, "minute"),
        7_200: (2, "hour"), 86_399: (23, "hour"), 86_400: (1, "day"), 129_600: (36, "hour"),
        172_799: (47, "hour"), 172_800: (2, "day"), 604_800: (7, "day"), 216_000: (2, "day"),
    }  # fmt: skip
    found = called("length.ts", "in_words", *([seconds] for seconds in said))
    assert [(one["count"], one["unit"]) for one in found] == list(said.values())


def test_a_draft_whose_check_was_taken_back_is_not_said_to_be_given() -> None:
    draft = {"key": "k", "made": 0, "given": {"check_id": "ck-1"}}
    found = called("drafts/rules.ts", "standing", [draft, 0], [{**draft, "taken_back": True}, 0])
    assert found == ["given", "taken_back"]
