"""The catalogue as an AsyncAPI 3.0 document, and each fact as a JSON Schema.

Everything is derived from the models and the catalogue. Schemas describe what may be written: a
field with a default may be left out. Those of facts that other systems write name all fields that there are, so that a
validator finds a misspelt one; whoever reads facts ignores what it does not know.
"""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import models_json_schema

from shared.contracts.catalogue import (
    OPERATOR,
    OTHER_SYSTEMS,
    SERVICES,
    TABLE,
    Topic,
    dead_letters,
    topics,
)
from shared.contracts.event import CONTENT_TYPE, OUTSIDE_ATTRIBUTES, Event
from shared.kernel import Fact

DIALECT = "https://json-schema.org/draft/2020-12/schema"
COMPONENT = "#/components/schemas/"
#: What an event must say of itself: the required attributes of CloudEvents.
REQUIRED = ("specversion", "id", "source", "type")
#: The version of AsyncAPI's Kafka bindings that this document is written in.
BINDING_VERSION = "0.5.0"
#: Topics that other systems write to: they choose how an event travels.
FROM_OUTSIDE = {row.fact.TOPIC for row in TABLE if row.producer == OTHER_SYSTEMS}
#: The name of the one message of every topic of dead letters.
DEAD_LETTER = "dead-letter"
#: Every installation has its own brokers, so their address is a variable.
SERVER = {
    "host": "{brokers}",
    "protocol": "kafka",
    "description": "The brokers of one installation: what its services have in KAFKA_BOOTSTRAP_SERVERS.",
    "variables": {
        "brokers": {
            "description": "Host and port of each broker, comma-separated.",
            "default": "localhost:9092",
            "examples": ["kafka-1.example.org:9092,kafka-2.example.org:9092"],
        }
    },
}

#: JSON has no narrower type than this in Python's typing.
Json = dict[str, Any]


def schema(fact: type[Fact]) -> Json:
    """The JSON Schema of the `data` of this fact's events; references are local."""
    found = fact.model_json_schema()
    if fact.TOPIC in FROM_OUTSIDE:
        found = _closed(found)
    return {"$schema": DIALECT, "$id": f"{fact.TYPE}.json", **found}


def _closed(part: Any) -> Any:
    """The same schema where each object has the fields that it names and no other."""
    if isinstance(part, list):
        return [_closed(one) for one in part]
    if not isinstance(part, dict):
        return part
    inner = {name: _closed(one) for name, one in part.items()}
    return {**inner, "additionalProperties": False} if "properties" in part else inner


def document() -> Json:
    """The whole product as one AsyncAPI 3.0 document; every reference resolves inside it."""
    facts = [row.fact for row in TABLE]
    _, defs = models_json_schema(
        [(fact, "validation") for fact in facts], ref_template=COMPONENT + "{model}"
    )
    outside = [fact for fact in facts if fact.TOPIC in FROM_OUTSIDE]
    written = {name for fact in outside for name in (fact.__name__, *schema(fact).get("$defs", ()))}
    models = {
        name: _closed(part) if name in written else part for name, part in defs["$defs"].items()
    }
    schemas: Json = {
        "CloudEvent": {
            "type": "object",
            "description": "CloudEvents 1.0, structured JSON mode.",
            "required": list(REQUIRED),
            "properties": _attributes(),
        },
        **_without_siblings(models),
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Service Check",
            "version": "1.0.0",
            "description": "Facts about complaints, service checks and messages to customers.",
        },
        "defaultContentType": CONTENT_TYPE,
        "servers": {"kafka": SERVER},
        "channels": {_name(topic.name): _channel(topic) for topic in topics()},
        "operations": _operations(),
        "components": {
            "messages": {
                **{name: message for fact in facts for name, message in _messages(fact).items()},
                DEAD_LETTER: _dead_letter(),
            },
            "schemas": dict(sorted(schemas.items())),
        },
    }


def _without_siblings(part: Any) -> Any:
    """The same schema with nothing beside a `$ref`.

    AsyncAPI's own schemas ignore what stands beside a reference, so a field's description would be
    lost there.
    """
    if isinstance(part, list):
        return [_without_siblings(one) for one in part]
    if not isinstance(part, dict):
        return part
    inner = {name: _without_siblings(one) for name, one in part.items()}
    if "$ref" in inner and len(inner) > 1:
        return {"allOf": [{"$ref": inner.pop("$ref")}], **inner}
    return inner


def _attributes() -> Json:
    """The attributes of a CloudEvent, without its data."""
    properties = Event[Fact].model_json_schema()["properties"]
    return {name: part for name, part in properties.items() if name != "data"}


def _name(dotted: str) -> str:
    """Component names have no dots, so that references read as paths."""
    return dotted.replace(".", "-")


def _messages(fact: type[Fact]) -> dict[str, Json]:
    """The messages a fact travels in, by name: other systems may write binary mode as well."""
    name = _name(fact.TYPE)
    found = {name: _structured(fact)}
    if fact.TOPIC in FROM_OUTSIDE:
        found[f"{name}-binary"] = _binary(fact)
    return found


def _message(fact: type[Fact], content_type: str, headers: Json, payload: Json) -> Json:
    (topic,) = (topic for topic in topics() if topic.name == fact.TOPIC)
    key = {"type": "string", "description": f"{topic.key[0].upper()}{topic.key[1:]}."}
    return {
        "name": fact.TYPE,
        "title": fact.__name__,
        "summary": (fact.__doc__ or "").strip(),
        "contentType": content_type,
        "headers": headers,
        "payload": payload,
        "bindings": {"kafka": {"key": key, "bindingVersion": BINDING_VERSION}},
    }


def _structured(fact: type[Fact]) -> Json:
    """The whole event as the record's value."""
    headers = {
        "type": "object",
        "required": ["content-type"],
        "properties": {
            "content-type": {
                "type": "string",
                "pattern": f"^{CONTENT_TYPE.replace('+', '[+]')}",
                "description": "Says that the value is a whole event in structured mode.",
            },
            "traceparent": {
                "type": "string",
                "description": "W3C Trace Context of the transport; comes before the event's own.",
            },
        },
    }
    payload = {
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
    }
    return _message(fact, CONTENT_TYPE, headers, payload)


def _binary(fact: type[Fact]) -> Json:
    """The data alone as the record's value; each attribute is a header, in UTF-8."""
    attributes = {name: part for name, part in _attributes().items() if name in OUTSIDE_ATTRIBUTES}
    headers = {f"ce_{name}": _header(part) for name, part in attributes.items()}
    headers["ce_type"] |= {"const": fact.TYPE}
    headers["content-type"] = {
        "type": "string",
        "pattern": "^(?!application/cloudevents)",
        "description": "Media type of the data; one that begins like this would say structured mode.",
        "examples": ["application/json"],
    }
    headers["traceparent"] = {
        "type": "string",
        "description": "W3C Trace Context of the transport; comes before `ce_traceparent`.",
    }
    return _message(
        fact,
        "application/json",
        {
            "type": "object",
            "required": [f"ce_{name}" for name in REQUIRED],
            "properties": headers,
        },
        {"$ref": COMPONENT + fact.__name__},
    )


def _dead_letter() -> Json:
    """A record that a service could not accept; only its headers and its key can be read."""
    headers = {
        "reason": {
            "type": "string",
            "pattern": "^[a-z0-9_]+$",
            "description": "The reason code: why the record was not accepted.",
        },
        "where": {
            "type": "string",
            "maxLength": 200,
            "pattern": "^[A-Za-z0-9_/,.-]*$",
            "description": "The wrong fields as JSON pointers, comma-separated; may be empty.",
            "examples": ["/data/site,/data/text"],
        },
        "origin-topic": {"type": "string", "description": "The topic that the record is on."},
        "origin-partition": {
            "type": "string",
            "pattern": "^[0-9]+$",
            "description": "The record's partition, in decimal digits.",
        },
        "origin-offset": {
            "type": "string",
            "pattern": "^[0-9]+$",
            "description": "The record's offset, in decimal digits.",
        },
        "burial": {
            "type": "string",
            "pattern": "^[0-9]+$",
            "description": "How many times this record was refused by now, in decimal digits; more than 1 if an operator sent it again.",
        },
        "cut": {
            "type": "string",
            "pattern": "^[0-9]+$",
            "description": "Only if the record was too long to be kept whole: the length of its value in bytes.",
        },
    }
    required = [name for name in headers if name not in {"burial", "cut"}]
    key = {
        "type": "string",
        "description": "The record's position: `topic/partition/offset`, as in the headers.",
        "examples": ["recovery.intake.v1/2/4711"],
    }
    return {
        "name": DEAD_LETTER,
        "title": "DeadLetter",
        "summary": "A record that could not be accepted: why, and where it is.",
        "contentType": "text/plain",
        "headers": {"type": "object", "required": required, "properties": headers},
        "payload": {
            "type": "string",
            "pattern": "^v1[.][A-Za-z0-9_-]+$",
            "description": "The record's value and CloudEvents headers, sealed: only an operator can open them.",
        },
        "bindings": {"kafka": {"key": key, "bindingVersion": BINDING_VERSION}},
    }


def _header(attribute: Json) -> Json:
    """An attribute as a header: one that has no value is left out, and is never null."""
    (text,) = [one for one in attribute.get("anyOf", [attribute]) if one.get("type") != "null"]
    return {**text, "description": attribute["description"]}


def _channel(topic: Topic) -> Json:
    configuration: Json = {"cleanup.policy": [topic.cleanup]}
    if topic.retention is not None:
        configuration["retention.ms"] = int(topic.retention.total_seconds() * 1000)
    if topic.message_bytes_max is not None:
        configuration["max.message.bytes"] = topic.message_bytes_max
    kafka = {"partitions": topic.partitions, "topicConfiguration": configuration}
    names = [name for row in TABLE if row.fact.TOPIC == topic.name for name in _messages(row.fact)]
    if topic.name in map(dead_letters, SERVICES):
        names.append(DEAD_LETTER)
    return {
        "address": topic.name,
        "description": f"{topic.description} Key: {topic.key}.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        "bindings": {"kafka": {**kafka, "bindingVersion": BINDING_VERSION}},
    }


def _operations() -> Json:
    """One operation per program, direction and topic."""
    found: dict[str, Json] = {}
    for row in TABLE:
        channel = _name(row.fact.TOPIC)
        sides = [
            *(("send", producer) for producer in (row.producer, *row.also_from)),
            *(("receive", consumer) for consumer in row.consumers),
        ]
        for action, who in sides:
            if who not in {*SERVICES, OPERATOR}:
                continue  # this document does not describe other systems
            operation = found.setdefault(
                f"{who}-{action}-{channel}",
                {"action": action, "channel": {"$ref": f"#/channels/{channel}"}, "messages": []},
            )
            operation["messages"] += [
                {"$ref": f"#/channels/{channel}/messages/{name}"} for name in _messages(row.fact)
            ]
    for service in SERVICES:
        channel = _name(dead_letters(service))
        found[f"{service}-send-{channel}"] = {
            "action": "send",
            "channel": {"$ref": f"#/channels/{channel}"},
            "messages": [{"$ref": f"#/channels/{channel}/messages/{DEAD_LETTER}"}],
        }
    return found
