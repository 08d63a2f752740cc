"""What a route takes from a request: path, query, headers and body, each as its parameter is annotated.

The annotations are FastAPI's, which describes the API by them. They are read here in one validation,
because solving them as FastAPI's dependencies costs several times as much at every request.
"""

from __future__ import annotations

from collections.abc import Iterable
from inspect import Parameter
from typing import Any, TypeVar, get_args, get_origin
from urllib.parse import parse_qs

from fastapi.exceptions import RequestValidationError
from fastapi.params import Param, Query
from pydantic import BaseModel, ValidationError, create_model
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from shared.contracts.reasons import Reason
from shared.runtime.faults import Rejected

#: Headers that are lists, which several lines may hold (RFC 9110, 5.3), and one of which no two can be right.
MAY_REPEAT = ("If-None-Match", "Last-Event-ID")
F = TypeVar("F", bound=BaseModel)


class Inputs:
    """Reads the arguments of one route's function."""

    def __init__(self, parameters: Iterable[Parameter]) -> None:
        fields: dict[str, Any] = {}
        self._body: Parameter | None = None
        #: Where each argument stands, by the name it has there.
        self._places: dict[str, str] = {}
        #: Those that may be given several times, each value a part of the argument.
        self._several: set[str] = set()
        for one in parameters:
            if isinstance(one.annotation, type) and issubclass(one.annotation, BaseModel):
                self._body = one
                continue
            # As FastAPI has it: what says nothing of itself is in the query.
            told = (part for part in get_args(one.annotation) if isinstance(part, Param))
            said = next(told, Query())
            alias = said.alias or one.name
            self._places[alias] = said.in_.value
            if get_origin(next(iter(get_args(one.annotation)), None)) is tuple:
                self._several.add(alias)
            default = ... if one.default is Parameter.empty else one.default
            fields[one.name] = (one.annotation, default)
        self._model = create_model("Inputs", **fields)

    async def of(self, request: Request) -> dict[str, Any]:
        """The arguments by name; raises RequestValidationError, Rejected, HTTPException."""
        arguments = self._named(request)
        if self._body is not None:
            arguments[self._body.name] = await _body(request, self._body)
        return arguments

    def _named(self, request: Request) -> dict[str, Any]:
        query = request.query_params
        wrong = [
            {"type": "extra_forbidden", "loc": ("query", name)}
            for name in query
            if self._places.get(name) != "query"
        ]
        given: dict[str, Any] = {}
        for alias, place in self._places.items():
            found = _found(request, place, alias)
            if alias in self._several:
                given[alias] = found
            elif len(found) > 1 and not (place == "header" and alias in MAY_REPEAT):
                wrong.append({"type": "repeated", "loc": (place, alias)})
            elif found:
                given[alias] = ", ".join(found)
        if wrong:
            raise RequestValidationError(wrong)
        try:
            return dict(self._model.model_validate(given))
        except ValidationError as error:
            raise RequestValidationError(
                [
                    {**one, "loc": (self._places[str(one["loc"][0])], *one["loc"])}
                    for one in error.errors()
                ]
            ) from None


def _found(request: Request, place: str, alias: str) -> list[str]:
    if place == "path":
        return [request.path_params[alias]]
    return (request.headers if place == "header" else request.query_params).getlist(alias)


async def form_of(request: Request, form: type[F], fields_max: int) -> F:
    """The form that a browser sends: of each field the first value, and what is no field of it is left out.

    What a field may say is for the route to judge, which shows its page again. Raises Rejected(schema_invalid) for too
    many fields.
    """
    found = await values_of(request, fields_max)
    return form(**{name: found[name][0] for name in form.model_fields if name in found})


async def values_of(request: Request, fields_max: int) -> dict[str, list[str]]:
    """All values of each field of a form that a browser sends; raises Rejected(schema_invalid) for too many of them."""
    try:
        return parse_qs((await _sent(request)).decode(errors="replace"), max_num_fields=fields_max)
    except ValueError:
        raise Rejected(Reason.SCHEMA_INVALID) from None


async def chosen_in(request: Request, fields_max: int) -> dict[str, str]:
    """What was chosen in a form, by field; of a question with two answers both, which together are on no scale.

    What is no form of ours chooses nothing, and the page says so.
    """
    try:
        found = await values_of(request, fields_max)
    except Rejected:
        return {}
    return {name: " ".join(values) for name, values in found.items()}


async def _sent(request: Request) -> bytes:
    """The body; raises HTTPException(400) if the caller leaves while sending it, which is no failure of ours."""
    try:
        return await request.body()
    except ClientDisconnect:
        raise HTTPException(400) from None


async def _body(request: Request, parameter: Parameter) -> BaseModel:
    body = await _sent(request)
    model: type[BaseModel] = parameter.annotation
    if not body:
        if parameter.default is Parameter.empty:
            raise RequestValidationError([{"type": "missing", "loc": ("body",)}])
        return parameter.default  # type: ignore[no-any-return]  # a Parameter's default has no type
    if not _is_json(request.headers.get("content-type", "")):
        # A form can be sent from any page without asking: only what says that it is JSON is read.
        raise RequestValidationError([{"type": "json_type", "loc": ("body",)}])
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
    if found[0]["type"] == "json_invalid":
        try:
            body.decode()
        except UnicodeDecodeError:
            raise Rejected(Reason.INVALID_UTF8) from None
        raise Rejected(Reason.MALFORMED_BYTES)
    raise RequestValidationError([{**one, "loc": ("body", *one["loc"])} for one in found])


def _is_json(content_type: str) -> bool:
    """Whether a media type is JSON (RFC 6838, 4.2.8)."""
    kind, _, subtype = content_type.partition(";")[0].strip().lower().partition("/")
    return kind == "application" and (subtype == "json" or subtype.endswith("+json"))


def client_address(request: Request, header: str) -> str:
    """Where a request comes from: what the proxy nearest to us wrote in its header, else the connection's address."""
    written = request.headers.getlist(header) if header else []
    if written:
        return written[-1].rpartition(",")[2].strip()
    return request.client.host if request.client is not None else ""
