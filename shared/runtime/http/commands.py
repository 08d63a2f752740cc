"""How the API document describes a command that has one of several shapes."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any, NamedTuple


class Shape(NamedTuple):
    """One shape of a command: fields that it needs beside the common ones, and those it cannot have."""

    title: str
    needs: tuple[str, ...]
    without: tuple[str, ...] = ()


def either(*shapes: Shape, examples: list[dict[str, Any]]) -> Callable[[dict[str, Any]], None]:
    """The `json_schema_extra` of a command that has exactly one of these shapes."""

    def describe(schema: dict[str, Any]) -> None:
        whole = deepcopy(schema)
        schema.clear()
        schema["title"] = whole["title"]
        schema["description"] = whole["description"]
        schema["examples"] = examples
        schema["oneOf"] = [_shaped(deepcopy(whole), shape) for shape in shapes]

    return describe


def _shaped(whole: dict[str, Any], shape: Shape) -> dict[str, Any]:
    properties = {
        name: _needed(part) if name in shape.needs else part
        for name, part in whole["properties"].items()
        if name not in shape.without
    }
    return {
        "title": shape.title,
        "type": "object",
        "properties": properties,
        "required": [*whole["required"], *shape.needs],
        "additionalProperties": False,
    }


def _needed(part: dict[str, Any]) -> dict[str, Any]:
    """The schema of an optional field in a shape that needs it."""
    kept = {name: one for name, one in part.items() if name not in ("anyOf", "default")}
    (form,) = (one for one in part["anyOf"] if one != {"type": "null"})
    return {**kept, **form}
