"""The catalogue as an AsyncAPI 3.0 document, and each fact as a JSON Schema.

Everything is derived from the models and the catalogue. Schemas describe what may be written: a
field with a default may be left out.
"""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import models_json_schema

from shared.contracts.catalogue import OPERATOR, SERVICES, TABLE, Topic, topics
from shared.contracts.event import CONTENT_TYPE, Event
from shared.kernel import Fact

DIALECT = "https://json-schema.org/draft/2020-12/schema"
COMPONENT = "#/components/schemas/"

#: JSON has no narrower type than this in Python's typing.
Json = dict[str, Any]


def schema(fact: type[Fact]) -> Json:
    """The JSON Schema of the `data` of this fact's events; references are local."""
    return {"$schema": DIALECT, "$id": f"{fact.TYPE}.json", **fact.model_json_schema()}


def document() -> Json:
    """The whole product as one AsyncAPI 3.0 document; every reference resolves inside it."""
    facts = [row.fact for row in TABLE]
    _, defs = models_json_schema(
        [(fact, "validation") for fact in facts], ref_template=COMPONENT + "{model}"
    )
    wrapper = Event[Fact].model_json_schema()
    attributes = {name: part for name, part in wrapper["properties"].items() if name != "data"}
    schemas: Json = {
        "CloudEvent": {
            "type": "object",
            "description": "CloudEvents 1.0, structured JSON mode.",
            "required": ["specversion", "id", "source", "type"],
            "properties": attributes,
        },
        **defs["$defs"],
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Service Check",
            "version": "1.0.0",
            "description": "Facts about complaints, service checks and messages to customers.",
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": {_name(topic.name): _channel(topic) for topic in topics()},
        "operations": _operations(),
        "components": {
            "messages": {_name(fact.TYPE): _message(fact) for fact in facts},
            "schemas": dict(sorted(schemas.items())),
        },
    }


def _name(dotted: str) -> str:
    """Component names have no dots, so that references read as paths."""
    return dotted.replace(".", "-")


def _message(fact: type[Fact]) -> Json:
    return {
        "name": fact.TYPE,
        "title": fact.__name__,
        "summary": (fact.__doc__ or "").strip(),
        "contentType": CONTENT_TYPE,
        "payload": {
            "allOf": [
                {"$ref": f"{COMPONENT}CloudEvent"},
                {
                    "type": "object",
                    "required": ["data"],
                    "properties": {
                        "type": {"const": fact.TYPE},
                        "data": {"$ref": COMPONENT + fact.__name__},
                    },
                },
            ]
        },
    }


def _channel(topic: Topic) -> Json:
    configuration: Json = {"cleanup.policy": [topic.cleanup]}
    if topic.retention is not None:
        configuration["retention.ms"] = int(topic.retention.total_seconds() * 1000)
    if topic.message_bytes_max is not None:
        configuration["max.message.bytes"] = topic.message_bytes_max
    kafka = {"partitions": topic.partitions, "topicConfiguration": configuration}
    return {
        "address": topic.name,
        "description": f"{topic.description} Key: {topic.key}.",
        "messages": {
            _name(row.fact.TYPE): {"$ref": f"#/components/messages/{_name(row.fact.TYPE)}"}
            for row in TABLE
            if row.fact.TOPIC == topic.name
        },
        "bindings": {"kafka": {**kafka, "bindingVersion": "0.5.0"}},
    }


def _operations() -> Json:
    """One operation per program, direction and topic."""
    found: dict[str, Json] = {}
    for row in TABLE:
        channel, fact = _name(row.fact.TOPIC), _name(row.fact.TYPE)
        sides = [
            *(("send", producer) for producer in (row.producer, *row.also_from)),
            *(("receive", consumer) for consumer in row.consumers),
        ]
        for action, who in sides:
            if who not in {*SERVICES, OPERATOR}:
                continue  # what other systems do is theirs to describe
            operation = found.setdefault(
                f"{who}-{action}-{channel}",
                {"action": action, "channel": {"$ref": f"#/channels/{channel}"}, "messages": []},
            )
            operation["messages"].append({"$ref": f"#/channels/{channel}/messages/{fact}"})
    return found
