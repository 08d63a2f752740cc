"""Structured logs and metrics for operators; never a value that a person wrote.

Metric names are this typed list with a sentence each.
"""

from __future__ import annotations

import logging
import sys
import traceback

import structlog
from prometheus_client import Counter, Gauge, Histogram

log: structlog.stdlib.BoundLogger = structlog.get_logger("service_check")

SETTLED = Counter("settled_records", "Records settled, by service and topic.", ["service", "topic"])
DEAD_LETTERS = Counter("dead_letters", "Records put away as dead letters.", ["service", "reason"])
REQUESTS = Counter(
    "requests", "Requests answered, by route and status.", ["service", "route", "status"]
)
HTTP_REFUSED = Counter(
    "http_refused", "Requests refused before they were read to their end, by reason.", ["reason"]
)
REQUEST_SECONDS = Histogram(
    "request_seconds", "Time to answer a request, by route.", ["service", "route"]
)
OUTBOX_WAITING = Gauge("outbox_waiting_lines", "Facts committed and not yet on Kafka.", ["service"])
OUTBOX_OLDEST = Gauge(
    "outbox_oldest_seconds", "Age of the oldest fact that is not yet on Kafka.", ["service"]
)
RELAYED = Counter("relayed_lines", "Facts published by this process's relay.", ["service"])
RELAY_TURN_LINES = Histogram(
    "relay_turn_lines",
    "Lines that this process's relay published in one turn.",
    ["service"],
    buckets=(1, 4, 16, 64, 256, 1024, 2000),
)
COMMITS_REFUSED = Counter(
    "commits_refused", "Commits that the store could not take, by reason.", ["service", "reason"]
)
MESSAGES = Counter("messages", "Messages by occasion and fate.", ["occasion", "fate"])
PROMISES_BROKEN = Counter("promises_broken", "Promised times that passed without an answer.")
STREAM_RETRIES = Counter(
    "stream_retries", "Batches tried again because the world was away.", ["service"]
)
RECORDS_MISSED = Counter(
    "records_missed",
    "Records that were passed over, found by the fence and settled late.",
    ["service", "topic"],
)
LOG_HOLES = Counter(
    "log_holes",
    "Offsets passed over because no record is there, as after compaction or a transaction.",
    ["service", "topic"],
)
MEASURE_TODAY = Gauge(
    "measure_today",
    "Today's measures of a site so far, by measure and part; the same in every process.",
    ["site", "measure", "part"],
)
BATCHES_READ_AGAIN = Counter(
    "batches_read_again", "Batches let go of while partitions moved, and fetched again.", ["topic"]
)


def raised_at(error: BaseException) -> str:
    """File and line of a failure. Never its text: that may quote what a person wrote."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename.rsplit('/', 1)[-1]}:{frames[-1].lineno}" if frames else "unknown"


def configure(level: str = "INFO") -> None:
    """Log JSON lines to standard error; everything below `level` is dropped."""
    number = logging.getLevelNamesMapping()[level]
    logging.basicConfig(format="%(message)s", stream=sys.stderr, level=logging.WARNING)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )
