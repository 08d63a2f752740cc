"""What a route answers with: typed bodies, problems, pictures."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from itertools import chain
from typing import Annotated, Any, ClassVar, Self

import segno
from fastapi import Response
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json
from starlette.requests import Request as HttpRequest
from starlette.responses import RedirectResponse

from shared.contracts.event import AmountMinor, absent
from shared.contracts.reasons import Reason
from shared.kernel import Fact
from shared.runtime.http.pages import (
    HTML,
    PAGE_HEADERS,
    addressee,
    problem_page,
    wants_page,
)

JSON = "application/json"
CSV = "text/csv"
PROBLEM = "application/problem+json"
NO_STORE = {"Cache-Control": "no-store"}
#: Of what everybody may read, from any page: a copy is good for as long as somebody looks at a screen and looks again.
PUBLIC = {"Cache-Control": "public, max-age=30", "Access-Control-Allow-Origin": "*"}


class Answer(BaseModel):
    """The body of an answer: of a fact or document it shows only the fields that it declares.

    `OF` is the fact that the answer to a write shows. A route makes the answer from facts of that type by
    itself, unless fields of it are made `ANEW`.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", from_attributes=True)

    OF: ClassVar[type[Fact] | None] = None
    #: Fields that a route makes anew each time it answers, like titles and links, and the fields of the
    #: fact that each is made from. All others are the fact's own, of the same name or alias.
    ANEW: ClassVar[Mapping[str, Sequence[str]]] = {}

    @classmethod
    def made_from(cls) -> set[str]:
        """The fields of `OF` that the answer is made from."""
        own = [
            str(field.validation_alias or name)
            for name, field in cls.model_fields.items()
            if name not in cls.ANEW
        ]
        return {*own, *chain.from_iterable(cls.ANEW.values())}

    @classmethod
    def about(cls, shown: object, **more: Any) -> Self:
        """The answer about a fact or document: `more`, and for all other fields the values of `shown`.

        Raises AttributeError for a field that is in neither.
        """
        same = {name: getattr(shown, name) for name in cls.model_fields if name not in more}
        return cls(**same, **more)


def shown_by(*answers: type[Answer]) -> dict[type[Fact], set[str]]:
    """The fields of facts that answers are made from, which is what is kept of them for repeats.

    Raises ValueError where an answer needs a field that its fact does not have.
    """
    found: dict[type[Fact], set[str]] = {}
    for answer in answers:
        assert answer.OF is not None, f"{answer.__name__} names no fact"
        fields = answer.made_from()
        if missing := fields - answer.OF.model_fields.keys():
            msg = f"{answer.__name__} needs {sorted(missing)}, which {answer.OF.TYPE} does not have"
            raise ValueError(msg)
        found.setdefault(answer.OF, set()).update(fields)
    return found


class ProblemPart(BaseModel):
    """A part of a request that is wrong."""

    pointer: Annotated[str, Field(description="Where it is: a JSON pointer, or a name.")]
    rule: Annotated[
        str | None,
        Field(exclude_if=absent, description="Which rule it breaks, as pydantic names it."),
    ] = None
    detail: Annotated[
        str | None,
        Field(
            exclude_if=absent,
            description="What is taken there, in words: the allowed values, the bounds. It never repeats what was sent.",
        ),
    ] = None


class Problem(BaseModel):
    """Why a request was refused or cannot be done now (RFC 9457)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"type": "unknown_check", "title": "unknown check", "status": 404}]
        }
    )

    type: Annotated[
        str,
        Field(
            pattern=r"^[a-z0-9_]+$",
            max_length=64,
            description="The reason code; each route lists those that it may answer with.",
        ),
    ]
    title: Annotated[str, Field(description="The reason code in words.")]
    status: Annotated[int, Field(ge=400, le=599, description="The HTTP status.")]
    errors: Annotated[
        list[ProblemPart] | None,
        Field(exclude_if=absent, description="The wrong parts, if the request itself is wrong."),
    ] = None
    employee_id: Annotated[
        str | None,
        Field(exclude_if=absent, description="Who has the complaint, if somebody has it."),
    ] = None
    state: Annotated[
        str | None, Field(exclude_if=absent, description="Where the complaint stands.")
    ] = None
    can: Annotated[
        list[str] | None,
        Field(
            exclude_if=absent,
            description="What can be done with the complaint where it stands, by the last part of each route.",
        ),
    ] = None
    left_minor: Annotated[
        AmountMinor | None,
        Field(
            exclude_if=absent,
            description="How much of a check may be taken now, in minor units of its currency.",
        ),
    ] = None
    percent: Annotated[
        int | None,
        Field(exclude_if=absent, description="For a percentage: how much of a bill it takes off."),
    ] = None
    bill_up_to_minor: Annotated[
        AmountMinor | None,
        Field(
            exclude_if=absent,
            description="For a percentage: the largest bill it holds for, in minor units.",
        ),
    ] = None

    @classmethod
    def of(cls, reason: Reason, status: int | None = None) -> Self:
        """The problem of a reason, with the status of the reason unless another is given."""
        title = reason.value.replace("_", " ")
        return cls(type=reason.value, title=title, status=status or reason.status)


def body_of(answer: BaseModel) -> bytes:
    """An answer as JSON."""
    return answer.__pydantic_serializer__.to_json(answer)


def problem(
    reason: Reason,
    *,
    extra: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A problem as a response; `extra` are further fields of `Problem`."""
    body = {**Problem.of(reason).model_dump(), **(extra or {})}
    return Response(to_json(body), reason.status, {**NO_STORE, **(headers or {})}, PROBLEM)


def refused(
    request: HttpRequest,
    reason: Reason,
    *,
    extra: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A problem; for a customer who opened a link in a browser, a page in their language.

    A route that knows the customer puts an `Addressee` into `request.state.addressee` before it raises.
    """
    if not wants_page(request.headers.get("accept", ""), request.url.path):
        return problem(reason, extra=extra, headers=headers)
    known = getattr(request.state, "addressee", None)
    reader = addressee(known, request.headers.get("accept-language", ""))
    headers = {**(headers or {}), **PAGE_HEADERS}
    page = problem_page(reason.status, reader.language, reader.site)
    return Response(page, reason.status, headers, HTML)


def wants_table(accept: str) -> bool:
    """Whether an `Accept` header names CSV."""
    return CSV in {one.partition(";")[0].strip().lower() for one in accept.split(",")}


def tag_of(content: bytes) -> str:
    """What tells an answer from any other, as an ETag without a word on how strong it is."""
    return f'"{blake2b(content, digest_size=12).hexdigest()}"'


def matches(if_match: str, answer: BaseModel) -> bool:
    """Whether an `If-Match` has the tag of what a read with a strong ETag would answer now, or anything."""
    return bool({"*", tag_of(body_of(answer))} & {one.strip() for one in if_match.split(",")})


def shown(etag: str | None, content: bytes, form: str = JSON, *, strong: bool = False) -> Response:
    """A read with its ETag: 304 and nothing else when the client has it already.

    A strong ETag is for what is changed with `If-Match`, which takes no other (RFC 9110, 13.1.1).
    """
    tag = tag_of(content) if strong else f"W/{tag_of(content)}"
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    known = {one.strip().removeprefix("W/") for one in (etag or "").split(",")}
    if known & {"*", tag.removeprefix("W/")}:  # weak comparison (RFC 9110, 13.1.2)
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=form)


def repeated(content: bytes, status: int = 200) -> Response:
    """The answer to a request that was settled before, made again from what became of it."""
    return Response(content, status, {**NO_STORE, "Idempotency-Replayed": "true"}, JSON)


def to_page(path: str) -> Response:
    """A redirect to a page of ours, for a browser that sent a form or came back to the form's URL."""
    return RedirectResponse(path, 303, NO_STORE)


class Svg(Response):
    """A picture."""

    media_type = "image/svg+xml"


def picture(text: str) -> Response:
    """A text as a QR code; it is not cached, because the text holds a secret."""
    drawn = io.BytesIO()
    segno.make(text, error="m", micro=False).save(drawn, kind="svg", scale=6, border=4)
    return Svg(drawn.getvalue(), headers=NO_STORE)
