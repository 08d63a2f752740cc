"""Routes: each says who may call it, what it takes, decides and answers, and why it may refuse.

A write is a function that makes a decision, a read is one that makes an answer. Authentication, the
idempotency key, settling and the form of the answer are the same for all routes, and are here alone.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from inspect import Parameter, Signature
from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from fastapi import APIRouter, Header, Path, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request as HttpRequest
from starlette.responses import HTMLResponse
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from shared.contracts.complaints import Language
from shared.contracts.event import ID_PATTERN
from shared.contracts.policy import Policy
from shared.contracts.reasons import Reason
from shared.kernel import Decision, Fact
from shared.runtime.engine.view import View
from shared.runtime.http.answers import (
    CSV,
    JSON,
    NO_STORE,
    PUBLIC,
    Answer,
    Problem,
    Svg,
    body_of,
    picture,
    shown,
    tag_of,
    wants_table,
)
from shared.runtime.http.auth import Kind, Principal
from shared.runtime.http.changes import Changes, Listener
from shared.runtime.http.inputs import Inputs
from shared.runtime.http.live import UNBUFFERED, EventStream, snapshots
from shared.runtime.http.pages import PAGE_HEADERS
from shared.runtime.words import accepted_language

if TYPE_CHECKING:
    from shared.runtime.http.face import Face

#: The keys that a client may choose, in quotes or bare: characters that a header can carry, at most
#: 255 as with Stripe, whose limit clients know.
KEY_PATTERN = r'^"?[!#-~]([ !#-~]{0,253}[!#-~])?"?$'
IDEMPOTENCY_KEY = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=257,
        pattern=KEY_PATTERN,
        description="Chosen by the client, one per wish; the same key again is the same wish.",
    ),
]
IF_NONE_MATCH = Annotated[
    str | None, Header(alias="If-None-Match", description="The ETag of what the client has.")
]
ACCEPT_LANGUAGE = Annotated[
    str | None,
    Header(
        alias="Accept-Language",
        description="The languages that titles may be in, as in RFC 9110; the site's first language"
        " if none of ours is among them.",
        examples=["nb, en;q=0.5"],
    ),
]
IF_MATCH = Annotated[
    str | None,
    Header(
        alias="If-Match",
        max_length=256,
        description="The ETag of what is to be changed, as it was read; `*` for whatever it is.",
    ),
]
LAST_EVENT_ID = Annotated[
    str,
    Header(
        alias="Last-Event-ID",
        description="The `id` of the last event that the client had; it goes on behind that.",
    ),
]
#: What a browser sends of a page's form.
FORM = "application/x-www-form-urlencoded"
#: An id in a path.
Identifier = Annotated[str, Path(pattern=ID_PATTERN, max_length=128)]
#: The token of a customer's link.
Token = Annotated[str, Path(max_length=1024)]


class Nothing(BaseModel):
    """A command without a body: the URL says everything."""

    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_extra={"examples": [{}]})


#: The body of such a command: none, or an empty object.
NOTHING = Nothing()

#: Reasons of any route: the request did not arrive whole, or we cannot serve it now.
EVERYWHERE = (
    Reason.MALFORMED_BYTES,
    Reason.INVALID_UTF8,
    Reason.SCHEMA_INVALID,
    Reason.TOO_SLOW,
    Reason.TOO_LARGE,
    Reason.HANDLER_FAILED,
    Reason.OVERLOADED,
    Reason.STORE_UNAVAILABLE,
    Reason.STORE_STALE,
    Reason.STORE_UNREADABLE,
)
#: What every write takes beside its own, and what every GET does.
KEY = Parameter("key", Parameter.KEYWORD_ONLY, annotation=IDEMPOTENCY_KEY)
NO_BODY = Parameter("command", Parameter.KEYWORD_ONLY, annotation=Nothing, default=NOTHING)
ETAG = Parameter("etag", Parameter.KEYWORD_ONLY, annotation=IF_NONE_MATCH, default=None)
LAST = Parameter("last", Parameter.KEYWORD_ONLY, annotation=LAST_EVENT_ID, default="")
#: What a route takes whose answer has titles. `Ask` has it already, so it is only described.
LANGUAGES = Parameter("languages", Parameter.KEYWORD_ONLY, annotation=ACCEPT_LANGUAGE, default=None)
#: Reasons of a route that asks for a token.
TO_PRINCIPALS = (Reason.UNAUTHENTICATED, Reason.FORBIDDEN)
#: Reasons of a route for employees, whom the roster lists and the site's policy gives authority.
TO_EMPLOYEES = (Reason.UNKNOWN_EMPLOYEE, Reason.UNKNOWN_SITE)
#: Reasons of a route that takes a key.
WITH_A_KEY = (Reason.IDEMPOTENCY_KEY_MISSING,)
#: Reasons of a route that settles something.
ON_WRITES = (
    Reason.IDEMPOTENCY_KEY_REUSED,
    Reason.CONTENDED,
    Reason.OUTBOX_FULL,
    Reason.STORE_FULL,
    Reason.STORE_NOT_COPIED,
)


@dataclass(frozen=True, slots=True)
class Ask:
    """Who asks, and the view to read from; in a write, the view of its decision."""

    principal: Principal
    view: View
    #: The header `Accept-Language`.
    accepts: str = ""
    #: In a write, the name that the ids of its new entities are made from.
    name: str = ""

    def language(self, policy: Policy) -> Language:
        """The language that titles are in: the caller's, else the first of the site."""
        return accepted_language(self.accepts, policy.languages[0])


#: No answers, or no examples beside those of the models.
NONE: Mapping[int, Any] = MappingProxyType({})
#: Answers by status; several if a route answers a status in more than one form.
Answers = Mapping[int, type[BaseModel] | tuple[type[BaseModel], ...]]
#: Makes the answer from a fact, if a route does not leave that to the answers' own `OF`.
Shows = Callable[[Fact, Ask], Awaitable[BaseModel]]
D = TypeVar("D", bound=Callable[..., Any])


class Route(APIRoute):
    """A route, and what the document says of it beside its parameters and its body."""

    def __init__(  # what follows the path is named
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        method: str,
        like: Callable[..., Any],
        kinds: Collection[Kind] = (),
        answers: Answers = NONE,
        refuses: Sequence[Reason] = (),
        writes: bool = False,
        examples: Mapping[int, Mapping[str, Any]] = NONE,
        answers_pages: bool = False,
        response_class: type[Response] | None = None,
        hidden: bool = False,
        by_itself: bool = False,
        takes: type[BaseModel] | None = None,
        form: type[BaseModel] | None = None,
        or_page: bool = False,
        or_table: bool = False,
        public: bool = False,
    ) -> None:
        """`like` is the function whose name is the operation's id and whose docstring describes it.

        With `by_itself` the endpoint is an ASGI app, and FastAPI reads its signature for the document alone.
        """
        summary, _, description = (inspect.getdoc(like) or "").partition("\n\n")
        forms = _forms(answers)
        self.kinds = frozenset(kinds)
        self.answers = forms
        self.examples = examples
        self.form = form
        self.writes = writes
        self.answers_pages = answers_pages
        self.or_page = or_page
        self.or_table = or_table
        self.public = public
        self.refuses = frozenset(
            (
                *EVERYWHERE,
                *(TO_PRINCIPALS if kinds else ()),
                *(TO_EMPLOYEES if Kind.EMPLOYEE in kinds else ()),
                *(ON_WRITES if writes else ()),
                *(WITH_A_KEY if writes and kinds else ()),
                *refuses,
            )
        )
        named = {"response_class": response_class} if response_class is not None else {}
        super().__init__(
            path,
            endpoint,
            methods=[method],
            status_code=min(forms, default=200),
            operation_id=like.__name__,
            summary=" ".join(summary.split()).rstrip("."),
            description=description,
            responses={
                status: {"model": _either(models)} for status, models in forms.items() if models
            },
            include_in_schema=not hidden,
            openapi_extra=_body_of(takes, form),
            **named,  # type: ignore[arg-type]  # one name, if any
        )
        if by_itself:
            self.app = endpoint
        self._begins = path.partition("{")[0]

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether a request is for this route; most are not, and their paths begin otherwise."""
        # Patterns of paths end in `$`, which matches before a newline too.
        if not scope["path"].startswith(self._begins) or scope["path"].endswith("\n"):
            return Match.NONE, {}
        return super().matches(scope)


def _body_of(takes: type[BaseModel] | None, form: type[BaseModel] | None) -> dict[str, Any] | None:
    """The body that a route reads itself: in JSON, whose model another route describes, or else a page's form.

    Of a body in two forms generators make clients that do not work.
    """
    model = takes or form
    if model is None:
        return None
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    content = {JSON if takes is not None else FORM: {"schema": schema}}
    return {"requestBody": {"required": takes is not None, "content": content}}


def _either(models: tuple[type[BaseModel], ...]) -> Any:  # a union made at run time has no type
    found: Any = models[0]
    for one in models[1:]:
        found |= one
    return found


class Routes(APIRouter):
    """The routes of one capability."""

    def __init__(self, face: Face) -> None:
        super().__init__()
        self._face = face

    def write(
        self,
        method: str,
        path: str,
        kinds: Collection[Kind],
        answers: Answers,
        *,
        refuses: Sequence[Reason] = (),
        shows: Shows | None = None,
        reads: Callable[[Principal, Any], Sequence[str]] | None = None,
        examples: Mapping[int, Mapping[str, Any]] = NONE,
        in_languages: bool = False,
        tagged: bool = False,
    ) -> Callable[[D], D]:
        """A write, decided by the decorated function; its last fact is the answer.

        The function takes an `Ask`, then what is in the path, and the body as `command` if there is
        one. `reads` names documents to read in the first trip. With `in_languages` the answer depends
        on `Accept-Language`; with `tagged` it has the ETag that a read of it has.
        """

        def add(decides: D) -> D:
            taken = _taken(decides)
            answer = shows or partial(as_recorded, _made_of(answers))
            statuses = {
                model: status for status, forms in _forms(answers).items() for model in forms
            }

            async def respond(
                request: HttpRequest, principal: Principal, key: str, **named: Any
            ) -> Response:
                command = named["command"] if "command" in taken else named.pop("command")

                async def decide(view: View, name: str) -> Decision:
                    found = await decides(_ask(request, principal, view, name), **named)
                    assert isinstance(found, Decision)
                    return found

                written = await self._face.write(
                    principal,
                    request.scope["path"].removeprefix("/v1/"),
                    key,
                    command,
                    decide,
                    reads(principal, command) if reads is not None else (),
                )
                body = await answer(written.fact, _ask(request, principal, self._face.view()))
                status = body.status if isinstance(body, Problem) else statuses[type(body)]
                content = body_of(body)
                response = written.response(status, content)
                if tagged and status == 200:
                    response.headers["ETag"] = tag_of(content)
                return response

            self.respond(
                respond,
                {"key": KEY, "command": NO_BODY, **taken},
                kinds,
                path=path,
                method=method,
                like=decides,
                answers=answers,
                refuses=refuses,
                writes=True,
                examples=examples,
                in_languages=in_languages,
            )
            return decides

        return add

    def read(
        self,
        path: str,
        kinds: Collection[Kind],
        answer: type[Answer],
        *,
        refuses: Sequence[Reason] = (),
        method: str = "GET",
        in_languages: bool = False,
        table: Callable[[Any], str] | None = None,
        changed_by_tag: bool = False,
    ) -> Callable[[D], D]:
        """A read, answered by what the decorated function returns, with an ETag.

        The function takes an `Ask`, then the parameters of path and query, or a body. A POST is for
        values that must not stand in a URL; its answer is not cached. With `in_languages` the answer
        depends on `Accept-Language`. `table` makes CSV of the answer for who accepts that. With
        `changed_by_tag` the ETag is strong, for a write with `If-Match`.
        """

        def add(reads: D) -> D:
            async def respond(
                request: HttpRequest, principal: Principal, etag: str | None = None, **named: Any
            ) -> Response:
                found = await reads(_ask(request, principal, self._face.view()), **named)
                if table is not None and wants_table(request.headers.get("accept", "")):
                    response = shown(etag, table(found).encode(), CSV)
                elif method == "GET":
                    response = shown(etag, body_of(found), strong=changed_by_tag)
                else:
                    response = Response(body_of(found), headers=NO_STORE, media_type=JSON)
                if table is not None:
                    response.headers["Vary"] = "Accept"
                return response

            self.respond(
                respond,
                {**_taken(reads), **({"etag": ETAG} if method == "GET" else {})},
                kinds,
                path=path,
                method=method,
                like=reads,
                answers={200: answer},
                refuses=refuses,
                in_languages=in_languages,
                or_table=table is not None,
            )
            return reads

        return add

    def picture(
        self, path: str, kinds: Collection[Kind], *, refuses: Sequence[Reason] = ()
    ) -> Callable[[D], D]:
        """A read whose text is answered as a QR code."""
        return self._text(path, kinds, picture, Svg, refuses)

    def page(
        self, path: str, kinds: Collection[Kind], *, refuses: Sequence[Reason] = ()
    ) -> Callable[[D], D]:
        """A read that is answered with the HTML that the decorated function returns."""
        answer = partial(HTMLResponse, headers=PAGE_HEADERS)
        return self._text(path, kinds, answer, HTMLResponse, refuses)

    def _text(
        self,
        path: str,
        kinds: Collection[Kind],
        answer: Callable[[str], Response],
        response_class: type[Response],
        refuses: Sequence[Reason],
    ) -> Callable[[D], D]:
        """A read of a text, of which `answer` makes the response."""

        def add(reads: D) -> D:
            async def respond(request: HttpRequest, principal: Principal, **named: Any) -> Response:
                return answer(await reads(_ask(request, principal, self._face.view()), **named))

            self.respond(
                respond,
                _taken(reads),
                kinds,
                path=path,
                method="GET",
                like=reads,
                refuses=refuses,
                response_class=response_class,
            )
            return reads

        return add

    def stream(
        self, path: str, kinds: Collection[Kind], *, refuses: Sequence[Reason] = ()
    ) -> Callable[[D], D]:
        """A read that is answered as long as the client follows it, at most once a second, each time whole.

        It ends with the token. An answer has no line break in it, as JSON of a model has none.
        """

        def add(reads: D) -> D:
            async def respond(request: HttpRequest, principal: Principal, **named: Any) -> Response:
                face = self._face

                async def read() -> bytes:
                    return body_of(await reads(_ask(request, principal, face.view()), **named))

                def goes_on() -> bool:
                    return face.running() and face.still(
                        request.headers["authorization"], principal
                    )

                first = await read()
                events = snapshots(first, read, goes_on)
                return EventStream(events, face.streaming(), headers={**NO_STORE, **UNBUFFERED})

            self.respond(
                respond,
                _taken(reads),
                kinds,
                path=path,
                method="GET",
                like=reads,
                refuses=refuses,
                response_class=EventStream,
            )
            return reads

        return add

    def follow(
        self,
        path: str,
        kinds: Collection[Kind],
        changes: Changes,
        *,
        refuses: Sequence[Reason] = (),
    ) -> Callable[[D], D]:
        """A read that is answered with every change at the caller's site as it happens.

        The function gets an `Ask`, and raises where the caller may not follow. The stream ends with the token.
        """

        def add(may_follow: D) -> D:
            async def respond(request: HttpRequest, principal: Principal, last: str) -> Response:
                await may_follow(_ask(request, principal, self._face.view()))
                await changes.ready()
                still = partial(self._face.still, request.headers["authorization"], principal)
                listener = Listener(principal, still, last)
                return EventStream(
                    changes.events(listener),
                    changes.listening(listener),
                    headers={**NO_STORE, **UNBUFFERED},
                )

            self.respond(
                respond,
                {"last": LAST},
                kinds,
                path=path,
                method="GET",
                like=may_follow,
                refuses=(Reason.LOG_UNAVAILABLE, *refuses),
                response_class=EventStream,
            )
            return may_follow

        return add

    def link(
        self,
        method: str,
        path: str,
        *,
        answers: Answers = NONE,
        refuses: Sequence[Reason] = (),
        response_class: type[Response] | None = None,
        hidden: bool = False,
        takes: type[BaseModel] | None = None,
        form: type[BaseModel] | None = None,
        or_page: bool = False,
    ) -> Callable[[D], D]:
        """A route behind a customer's link: its token says who asks, and the function answers.

        A browser's POST is answered with a redirect to the page. `takes` is the body that the function reads
        itself, as JSON and as a form, and `form` one that it reads as a form alone (`form_of`). With `or_page` it answers 200 with a page as well.
        """

        def add(answers_with: D) -> D:
            self.routes.append(
                Route(
                    path,
                    answers_with,
                    method=method,
                    like=answers_with,
                    answers=answers,
                    refuses=(Reason.LINK_INVALID, *refuses),
                    writes=method == "POST",
                    answers_pages=method == "POST",
                    response_class=response_class,
                    hidden=hidden,
                    takes=takes,
                    form=form,
                    or_page=or_page,
                )
            )
            return answers_with

        return add

    def public(
        self, path: str, answer: type[Answer], *, refuses: Sequence[Reason] = ()
    ) -> Callable[[D], D]:
        """A read for anybody, by scripts of any page too, with an ETag; a copy may be kept for a while.

        The function takes a `View`, then what is in the path. Nothing that it answers may be about a person.
        """

        def add(reads: D) -> D:
            taken = {**_taken(reads), "etag": ETAG}
            inputs = Inputs(taken.values())

            async def app(scope: Scope, receive: Receive, send: Send) -> None:
                request = HttpRequest(scope, receive)
                named = await inputs.of(request)
                etag = named.pop("etag")
                response = shown(etag, body_of(await reads(self._face.view(), **named)))
                response.headers.update(PUBLIC)
                await response(scope, receive, send)

            app.__signature__ = Signature([*taken.values()])  # type: ignore[attr-defined]
            described = Route(
                path,
                app,
                method="GET",
                like=reads,
                answers={200: answer},
                refuses=refuses,
                by_itself=True,
                public=True,
            )
            self.routes.append(described)
            return reads

        return add

    def signed(
        self, path: str, *, refuses: Sequence[Reason] = (), writes: bool = False
    ) -> Callable[[D], D]:
        """A POST whose sender signed the body: the function reads and checks it, and answers without one.

        With `writes` it settles a command of its own.
        """

        def add(answers_with: D) -> D:
            self.routes.append(
                Route(
                    path,
                    answers_with,
                    method="POST",
                    like=answers_with,
                    answers={204: ()},
                    refuses=refuses,
                    writes=writes,
                    response_class=Response,
                )
            )
            return answers_with

        return add

    def respond(
        self,
        respond: Callable[..., Awaitable[Response]],
        taken: Mapping[str, Parameter],
        kinds: Collection[Kind],
        *,
        path: str,
        in_languages: bool = False,
        **described: Any,
    ) -> None:
        """A route for callers of these kinds: `respond` gets the request, who asks, and what it takes."""
        inputs = Inputs(taken.values())

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            request = HttpRequest(scope, receive)
            said = request.headers.getlist("authorization")
            # Of two headers a proxy may have checked the other one.
            authorization = said[0] if len(said) == 1 else ""
            principal = self._face.authenticator.caller(authorization, kinds)
            response = await respond(request, principal, **await inputs.of(request))
            if in_languages:
                response.headers["Vary"] = "Accept-Language"
            await response(scope, receive, send)

        described_too = [LANGUAGES] if in_languages else []
        app.__signature__ = Signature([*taken.values(), *described_too])  # type: ignore[attr-defined]
        self.routes.append(Route(path, app, kinds=kinds, by_itself=True, **described))


def _taken(function: Callable[..., Any]) -> dict[str, Parameter]:
    """What a route's function takes after the `Ask`, each by its name."""
    _, *rest = inspect.signature(function, eval_str=True).parameters.items()
    return {name: one.replace(kind=Parameter.KEYWORD_ONLY) for name, one in rest}


async def as_recorded(
    made_of: Mapping[type[Fact], type[BaseModel]], fact: Fact, _: Ask
) -> BaseModel:
    """The answer that is made of a fact, or the fact itself if the route answers with it.

    Raises AssertionError for any other fact: no answer says what of it may be shown.
    """
    model = made_of.get(type(fact))
    if model is None:
        raise AssertionError(f"{fact.TYPE} is no answer")
    return fact if model is type(fact) else model.model_validate(fact)


def _ask(request: HttpRequest, principal: Principal, view: View, name: str = "") -> Ask:
    return Ask(principal, view, request.headers.get("accept-language", ""), name)


def _forms(answers: Answers) -> dict[int, tuple[type[BaseModel], ...]]:
    """The forms of each status, also where there is one."""
    return {status: one if isinstance(one, tuple) else (one,) for status, one in answers.items()}


def _made_of(answers: Answers) -> dict[type[Fact], type[BaseModel]]:
    """The answers by the fact that each is made of."""
    found: dict[type[Fact], type[BaseModel]] = {}
    for model in chain.from_iterable(_forms(answers).values()):
        fact = model.OF if issubclass(model, Answer) else model
        if fact is not None and issubclass(fact, Fact):
            found[fact] = model
    return found
