"""Structured logs and metrics for operators; never a value that a person wrote.

Metric names are this typed list with a sentence each. Everything that a service writes is a line of JSON,
also what a library says and what nobody caught.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import traceback
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import structlog
from prometheus_client import Counter, Gauge, Histogram

log: structlog.stdlib.BoundLogger = structlog.get_logger("service_check")

SETTLED = Counter("settled_records", "Records settled, by service and topic.", ["service", "topic"])
DEAD_LETTERS = Counter("dead_letters", "Records put away as dead letters.", ["service", "reason"])
UNKNOWN_FIELDS = Counter(
    "unknown_fields",
    "Events of other systems that were taken without a field that is not known.",
    ["service", "topic"],
)
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
STORE_UNREADABLE = Counter(
    "store_unreadable",
    "Times that something of a kind was found in the store that this version does not read.",
    ["service", "kind"],
)
MESSAGES = Counter("messages", "Messages by occasion and fate.", ["occasion", "fate"])
PROVIDER_OPEN = Gauge(
    "provider_open",
    "1 while a provider of messages is left alone after failures in a row, or failed again since.",
    ["provider"],
)
WEBHOOKS = Counter(
    "webhooks", "Attempts of webhooks, by endpoint and what became of them.", ["endpoint", "fate"]
)
WEBHOOK_AT = Gauge(
    "webhook_timestamp_seconds",
    "When an endpoint last took a webhook of this process, and when it last did not; 0 if never.",
    ["endpoint", "fate"],
)
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
LIVE_LISTENERS = Gauge("live_listeners", "Clients that follow the changes of their site here.")
MEASURE_TODAY = Gauge(
    "measure_today",
    "Today's measures of a site so far, by measure and part; the same in every process.",
    ["site", "measure", "part"],
)
MAILS = Counter("mails", "Mails read, by account and what became of them.", ["account", "fate"])
MAIL_LOOKS = Counter("mail_looks", "Looks into a mailbox that ended well.", ["account"])
BATCHES_READ_AGAIN = Counter(
    "batches_read_again", "Batches let go of while partitions moved, and fetched again.", ["topic"]
)


#: What a library says is cut here: enough for a sentence, too short to fill a disk.
SAYS_CHARS_MAX = 300
#: Places on the way to a failure that are logged, the last ones: the rest is the start of the process.
FRAMES_MAX = 8


def raised_at(error: BaseException) -> str:
    """File and line of a failure. Never its text: that may quote what a person wrote."""
    return next(reversed(_frames(error)), "unknown")


def _frames(error: BaseException) -> list[str]:
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES_MAX:]
    return [f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}" for frame in frames]


class Libraries(logging.Handler):
    """Makes a line of our log of whatever a library logs.

    Of a failure the text that is filled in is left out, because it may quote what a person wrote.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Log one record; never raises."""
        error = record.exc_info[1] if record.exc_info else None
        if error is not None or record.name == "asyncio":
            says = str(record.msg).partition("(")[0]
        else:
            try:
                says = record.getMessage()
            except Exception:  # noqa: BLE001 - wrong arguments of a library must not end a request
                says = str(record.msg)
        failed = {} if error is None else {"error": type(error).__name__, "at": raised_at(error)}
        said = says.partition("\n")[0][:SAYS_CHARS_MAX]
        log.log(record.levelno, "library", logger=record.name, says=said, **failed)


def configure(level: str = "INFO") -> None:
    """Log JSON lines to standard error; everything below `level` is dropped, of libraries below WARNING."""
    number = logging.getLevelNamesMapping()[level]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )
    logging.captureWarnings(capture=True)
    logging.basicConfig(handlers=[Libraries()], level=logging.WARNING, force=True)


def unhandled(where: str, error: BaseException | None, says: str = "") -> None:
    """Log a failure that nobody caught: its type and the way to it, never its text."""
    through = [] if error is None else _frames(error)
    log.critical("unhandled", where=where, error=type(error).__name__, through=through, says=says)


def log_unhandled() -> None:
    """From now on Python logs what nobody caught in place of printing it with its text."""

    def ended(_: type[BaseException], error: BaseException, __: TracebackType | None) -> None:
        unhandled("process", error)

    sys.excepthook = ended
    sys.unraisablehook = lambda found: unhandled("collector", found.exc_value)
    threading.excepthook = lambda found: unhandled("thread", found.exc_value)


def loop_failed(_loop: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
    """What an event loop calls for a failure that no task waits for. Its message may quote arguments."""
    unhandled("loop", context.get("exception"), str(context["message"]).partition("(")[0])
