"""What is passed on, in either direction, and to whom."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

#: The pages that customers see, by the first part of their path, and the service that owns them.
PAGES: Mapping[str, str] = {
    "c": "complaints",
    "m": "complaints",
    "q": "complaints",
    "o": "compensation",
    "k": "compensation",
    "f": "notifier",
    "p": "notifier",
    "s": "notifier",
    "incidents": "notifier",
}
#: Headers of a request that services read; no other is passed, a cookie or an `Authorization` least of all.
ASKED = frozenset(
    (
        "accept",
        "accept-encoding",
        "accept-language",
        "content-type",
        "idempotency-key",
        "if-match",
        "if-none-match",
        "last-event-id",
    )
)
#: Headers of an answer that end here: of one connection alone (RFC 9110, 7.6.1), or ours to say.
KEPT_BACK = frozenset(
    (
        "access-control-allow-credentials",
        "access-control-allow-headers",
        "access-control-allow-methods",
        "access-control-allow-origin",
        "access-control-expose-headers",
        "clear-site-data",
        "connection",
        "content-length",
        "date",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "server",
        "set-cookie",
        "strict-transport-security",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "www-authenticate",
        "x-content-type-options",
    )
)
#: What a service has outside is below this; its probes are not.
API = "/v1/"
ESCAPED = ("%2e", "%2f", "%5c", "%00")


def asked(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The headers of a request that a service gets, of names in lower case."""
    return {name: value for name, value in headers if name in ASKED}


def answered(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The headers of a service's answer that a browser gets, of any names."""
    return {name: value for name, value in headers if name.lower() not in KEPT_BACK}


def straight(path: str) -> bool:
    """Whether a path, as it was sent, means to every server what it says: no `..`, no hidden slash."""
    lower = path.lower()
    return (
        not any(escape in lower for escape in ESCAPED)
        and "\\" not in path
        and not {".", ".."} & {*path.split("/")}
    )
