"""Commands as the document describes them, where one is either this or that."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any, NamedTuple


class Shape(NamedTuple):
    """One form of a command: what it needs beyond what all forms do, and what it cannot have."""

    title: str
    needs: tuple[str, ...]
    without: tuple[str, ...] = ()


def either(*shapes: Shape, examples: list[dict[str, Any]]) -> Callable[[dict[str, Any]], None]:
    """What a command's model says of its schema: it has exactly one of these shapes."""

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
    """A field that may be left out elsewhere, as it is where it may not."""
    kept = {name: one for name, one in part.items() if name not in ("anyOf", "default")}
    (form,) = (one for one in part["anyOf"] if one != {"type": "null"})
    return {**kept, **form}
