"""An export of the record: a file per chain and one of signed heads, verified without a broker.

manifest.json              what is there, for people and programs; nothing in it is trusted
heads.jsonl                signed heads, one a line, in the order in which they were signed
chains/<topic>-<n>.jsonl   the records of a chain, one a line: hash and record, byte for byte as on the topic
records.csv                with `csv`, or records.parquet with `parquet`: all records in one table, which cannot be
                           verified; Parquet needs pyarrow (requirements-parquet.txt)
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic_core import from_json

from shared.audit.verify import Anchors, Chain, Finding, read_line
from shared.contracts.audit import Recorded

Format = Literal["jsonl", "csv", "parquet"]
MANIFEST, HEADS_FILE, CHAINS = "manifest.json", "heads.jsonl", "chains"
CSV, PARQUET = "records.csv", "records.parquet"
#: The beginning of the name of files for what is on the topic and is no record.
NO_CHAIN = "unreadable"
#: A line of a record or of heads; longer ones are not ours. An event may have 256 KB.
LINE_BYTES_MAX = 300_000
#: Columns of a table: a record's fields, and its hash.
COLUMNS = (*Recorded.model_fields, "hash")
Row = dict[str, Any]
#: Opens a table in a directory, and gives what takes a row.
Opens = Callable[[Path], AbstractContextManager[Callable[[Row], object]]]


class Source(Protocol):
    """Where an export reads: the topics of a broker."""

    def heads(self) -> Iterable[bytes]:
        """The `data` of all signed heads, in their order."""
        ...

    def partitions(self) -> Sequence[int]:
        """The partitions of the record's topic."""
        ...

    def records(self, partition: int) -> Iterable[bytes]:
        """All records of a partition, as `hashed` makes them, in their order, each once."""
        ...


class Report(NamedTuple):
    """What a verification found."""

    records: int
    chains: int
    #: Records that no signed heads cover, by chain.
    unanchored: Mapping[str, int]
    #: Chains that no signed heads name: young ones, or put in.
    unnamed: Sequence[str]
    #: Number of the last heads, and when the newest were signed.
    heads: int
    signed_at: str
    findings: Sequence[Finding]


def file_of(chain: str) -> str:
    """The name of a chain's file."""
    return chain.replace("/", "-") + ".jsonl"


def chain_of(path: Path) -> str:
    """The chain of a file of this name."""
    return "/".join(path.stem.rsplit("-", 1))


def write(source: Source, directory: Path, kind: Format = "jsonl") -> dict[str, Any]:
    """Export everything; returns the manifest. Blocks; raises OSError, and what the source raises.

    Also ImportError, before anything is written, if what writes the format is not installed. Heads are read first, so that the records that they cover are there when records are read.
    """
    opens = _table(kind)
    directory.mkdir(parents=True, exist_ok=False)
    found: dict[str, dict[str, Any]] = {}
    with (directory / HEADS_FILE).open("wb") as file:
        heads = sum(1 for data in source.heads() if file.write(data + b"\n"))
    with ExitStack() as whole:
        take: Callable[[Row], object] | None = None
        if opens is not None:
            take = whole.enter_context(opens(directory))
        else:
            (directory / CHAINS).mkdir()
        for partition in source.partitions():
            with ExitStack() as stack:
                files: dict[str, BinaryIO] = {}
                for data in source.records(partition):
                    read = read_line(data)
                    # What is no record goes into a file of its own, where `verify` says so.
                    name, number, _, own = read or (f"{NO_CHAIN}/{partition}", 0, "", "")
                    one = found.setdefault(name, {"first": number, "records": 0})
                    one["records"] += 1
                    one["last"], one["hash"] = number, own
                    if take is not None:
                        if read is not None:
                            take(_row(data))
                        continue
                    if name not in files:
                        path = directory / CHAINS / file_of(name)
                        files[name] = stack.enter_context(path.open("ab"))
                    files[name].write(data + b"\n")
    manifest = {
        "format": kind,
        "heads": heads,
        "records": sum(one["records"] for one in found.values()),
        "chains": dict(sorted(found.items())),
    }
    (directory / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return manifest


def _table(kind: Format) -> Opens | None:
    """What opens the table of a format that is one; raises ImportError where it is not installed."""
    if kind == "csv":
        return _csv
    if kind == "parquet":
        from shared.audit.parquet import opened  # noqa: PLC0415 - needs pyarrow, which few have

        return lambda directory: opened(directory / PARQUET)
    return None


@contextmanager
def _csv(directory: Path) -> Iterator[Callable[[Row], object]]:
    with (directory / CSV).open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, COLUMNS)
        table.writeheader()
        # A cell that begins like a formula would be one in a spreadsheet.
        yield lambda row: table.writerow(
            {name: f"'{cell}" if str(cell)[:1] in "=+-@" else cell for name, cell in row.items()}
        )


def _row(data: bytes) -> Row:
    """A record as a row; a gap has what it has."""
    fact = from_json(data)
    row = {name: value for name, value in fact["record"].items() if name in COLUMNS}
    for name in ("amounts", "details"):
        row[name] = json.dumps(row.get(name, {}), ensure_ascii=False)
    if "what" not in row:
        row |= {"what": "gap", "details": json.dumps(fact["record"])}
    return {**row, "hash": fact["hash"]}


def lines(path: Path) -> Iterator[bytes]:
    """The lines of a file without their ends; one that is too long is empty. Blocks."""
    with path.open("rb") as file:
        while line := file.readline(LINE_BYTES_MAX):
            rest = line
            while not rest.endswith(b"\n") and (rest := file.readline(LINE_BYTES_MAX)):
                line = b""
            yield line.removesuffix(b"\n")


def verify(
    directory: Path,
    keys: Iterable[Ed25519PublicKey],
    *,
    published: Iterable[Path] = (),
    since: Iterable[Path] = (),
) -> Report:
    """Verify an export against its own heads and against `published` ones, kept elsewhere.

    `since` are files of heads that a verified record may begin at: what lies before was deleted. Reads one
    line at a time. Blocks; raises OSError.
    """
    keys, since = list(keys), list(since)
    anchors, checkpoint = Anchors(keys, from_any=bool(since)), Anchors(keys)
    for number, data in enumerate(lines(directory / HEADS_FILE), start=1):
        anchors.add(data, number)
    for path in published:
        for data in lines(path):
            anchors.add(data, alone=True)
    anchors.end()
    for path in since:
        for data in lines(path):
            checkpoint.add(data, alone=True)
    files = {chain_of(path): path for path in sorted((directory / CHAINS).glob("*.jsonl"))}
    findings = [*anchors.findings, *checkpoint.findings]
    records, unanchored = 0, dict[str, int]()
    for name in sorted({*files, *anchors.chains, *checkpoint.chains}):
        before = checkpoint.chains.get(name, {})
        reached = max(before, default=0)
        signed = {n: h for n, h in anchors.chains.get(name, {}).items() if n >= reached}
        one = Chain(name, signed, before)
        if name in files:
            for number, data in enumerate(lines(files[name]), start=1):
                one.feed(data, number)
        one.end()
        findings += one.findings
        records += one.records
        if one.unanchored:
            unanchored[name] = one.unanchored
    unnamed = sorted({*files} - {*anchors.chains, *checkpoint.chains})
    return Report(
        records, len(files), unanchored, unnamed, anchors.last[0], anchors.signed_at, findings
    )
