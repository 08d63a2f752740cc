"""A table of records in Parquet. Needs pyarrow: requirements-parquet.txt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from shared.audit.export import COLUMNS, Row

#: Rows that are held until they are written together: about 20 MB.
ROWS = 20_000
NUMBERS = {"number", "offset", "policy_version", "sequence"}
TIME = pa.timestamp("us", tz="UTC")


def _type(name: str) -> Any:
    if name == "time":
        return TIME
    return pa.int64() if name in NUMBERS else pa.string()


#: A record's fields and its hash; amounts and details are JSON.
SCHEMA = pa.schema([(name, _type(name)) for name in COLUMNS])


@contextmanager
def opened(path: Path) -> Iterator[Callable[[Row], object]]:
    """A new table; gives what takes a row. Blocks; raises OSError."""
    rows: list[Row] = []
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:

        def flush() -> None:
            writer.write_table(pa.Table.from_pylist(rows, schema=SCHEMA))
            rows.clear()

        def take(row: Row) -> None:
            time = row.get("time")
            rows.append({**row, "time": time and datetime.fromisoformat(time)})
            if len(rows) >= ROWS:
                flush()

        yield take
        flush()
