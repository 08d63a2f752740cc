"""Write docs/reference and manifests from the contracts; refuse changes that break producers or consumers.

The committed schemas are those in use; the models are their next version. So the two are compared
whenever the pages are written.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from shared.contracts.asyncapi import document, schema
from shared.contracts.catalogue import FACTS, SERVICES, TABLE, Topic, dead_letters, topics
from shared.contracts.lifecycle import diagram
from shared.contracts.reasons import Reason
from shared.ops import manifests, openapi
from shared.ops.data_map import data_map, works_council

REFERENCE = Path("docs/reference")
ROLLOUT = (
    "Make it a new version (`.v2`) beside the old one, and roll out consumers first: consumers that"
    " read both, then producers that write the new one, then remove the old one."
)
NOTICE = "<!-- Generated: `python -m shared.ops docs`. Do not edit. -->"


@dataclass(frozen=True, slots=True)
class Change:
    """A difference between two versions of a schema, and whether it breaks existing messages."""

    pointer: str
    what: str
    breaking: bool

    def __str__(self) -> str:
        """One line."""
        return f"{self.pointer}: {self.what}"


#: For each keyword, whether a larger number allows more.
_BOUNDS = {
    "maximum": True,
    "exclusiveMaximum": True,
    "maxLength": True,
    "maxItems": True,
    "maxProperties": True,
    "minimum": False,
    "exclusiveMinimum": False,
    "minLength": False,
    "minItems": False,
    "minProperties": False,
}
Schema = dict[str, Any]


def changes(old: Schema, new: Schema) -> list[Change]:
    """The differences between two versions of a schema, field by field.

    A field that is removed, made required or narrowed is a breaking change; a widened one is not if
    consumers are rolled out first.
    """
    return list(_compare(old, new, old, new, ""))


def _variants(part: object, root: Schema) -> dict[str, Schema]:
    """The alternatives of a schema by their JSON type, references resolved."""
    found = part if isinstance(part, dict) else {}
    if "$ref" in found:
        resolved: Any = root
        for step in str(found["$ref"]).removeprefix("#/").split("/"):
            resolved = resolved[step]
        return _variants(resolved, root)
    if "anyOf" in found:
        return {kind: it for alt in found["anyOf"] for kind, it in _variants(alt, root).items()}
    return {str(found.get("type", "anything")): found}


def _compare(
    old: object, new: object, old_root: Schema, new_root: Schema, at: str
) -> Iterator[Change]:
    before, after = _variants(old, old_root), _variants(new, new_root)
    for kind in before.keys() - after.keys():
        yield Change(at or "/", f"does not take {kind} any more", breaking=True)
    for kind in after.keys() - before.keys():
        yield Change(at or "/", f"also takes {kind} now", breaking=False)
    for kind in sorted(before.keys() & after.keys()):
        o, n = before[kind], after[kind]
        yield from _values(o, n, at)
        yield from _fields(o, n, old_root, new_root, at)
        yield from _named(o, n, old_root, new_root, at)
        for inner in ("items", "additionalProperties", "propertyNames"):
            if inner in o or inner in n:
                yield from _compare(
                    o.get(inner, {}), n.get(inner, {}), old_root, new_root, f"{at}/{inner}"
                )


def _fields(
    old: Schema, new: Schema, old_root: Schema, new_root: Schema, at: str
) -> Iterator[Change]:
    before, after = old.get("properties", {}), new.get("properties", {})
    needed_before, needed_after = set(old.get("required", ())), set(new.get("required", ()))
    for name in before:
        if name not in after:
            yield Change(f"{at}/{name}", "was removed", breaking=True)
        else:
            yield from _compare(before[name], after[name], old_root, new_root, f"{at}/{name}")
    for name in sorted(needed_after - needed_before):
        yield Change(f"{at}/{name}", "was made required", breaking=True)
    for name in sorted((needed_before - needed_after) & set(after)):
        yield Change(f"{at}/{name}", "may be left out now", breaking=False)


def _named(
    old: Schema, new: Schema, old_root: Schema, new_root: Schema, at: str
) -> Iterator[Change]:
    """A mapping's values, by the pattern of their names."""
    before, after = old.get("patternProperties", {}), new.get("patternProperties", {})
    if before.keys() != after.keys():
        what = f"pattern of names was {sorted(before)}, is {sorted(after)}"
        yield Change(at or "/", what, breaking=bool(after))
    for pattern in before.keys() & after.keys():
        yield from _compare(before[pattern], after[pattern], old_root, new_root, f"{at}/{pattern}")


def _values(old: Schema, new: Schema, at: str) -> Iterator[Change]:
    for keyword, larger_is_wider in _BOUNDS.items():
        o, n = old.get(keyword), new.get(keyword)
        if o == n:
            continue
        widened = n is None or (o is not None and (n > o) == larger_is_wider)
        yield Change(at or "/", f"{keyword} was {o}, is {n}", breaking=not widened)
    for keyword in ("pattern", "format", "const"):
        o, n = old.get(keyword), new.get(keyword)
        if o != n:
            yield Change(at or "/", f"{keyword} was {o}, is {n}", breaking=n is not None)
    if old.get("enum") != new.get("enum"):
        before, after = set(old.get("enum", ())), set(new.get("enum", ()))
        gone, more = sorted(before - after), sorted(after - before)
        if after and (gone or not before):
            what = f"does not take {gone} any more" if before else f"takes only {more} now"
            yield Change(at or "/", what, breaking=True)
        else:
            yield Change(at or "/", f"also takes {more or 'anything'} now", breaking=False)


def committed_changes(root: Path = Path()) -> dict[str, list[Change]]:
    """How the models differ from the committed schemas, by fact; unchanged facts are left out.

    A fact that is no longer in the catalogue is a breaking change.
    """
    found: dict[str, list[Change]] = {}
    for path in sorted((root / REFERENCE / "schemas").glob("*.json")):
        kind = path.name.removesuffix(".json")
        if kind not in FACTS:
            found[kind] = [Change("/", "the fact was removed", breaking=True)]
            continue
        differ = changes(json.loads(path.read_text(encoding="utf-8")), schema(FACTS[kind]))
        if differ:
            found[kind] = differ
    return found


def render() -> dict[Path, str]:
    """Every generated page, by its path under docs/reference."""
    return {
        Path("asyncapi.yaml"): yaml.safe_dump(
            document(), sort_keys=False, allow_unicode=True, width=100
        ),
        Path("topics.md"): _topics_page(),
        Path("reasons.md"): _reasons_page(),
        Path("lifecycle.md"): _lifecycle_page(),
        Path("data-map.md"): data_map(NOTICE),
        Path("works-council.md"): works_council(NOTICE),
        # By name, as for the routes: shared code imports no service.
        Path("letters.html"): import_module("services.notifier.wording.gallery").page(NOTICE),
        **{
            Path("openapi", f"{service}.json"): text for service, text in openapi.rendered().items()
        },
        **{
            Path("schemas", f"{kind}.json"): json.dumps(schema(fact), indent=2) + "\n"
            for kind, fact in FACTS.items()
        },
    }


def stale(root: Path = Path()) -> list[Path]:
    """Pages and manifests that are missing, differ from what would be written, or belong to nothing.

    Pages by their path under docs/reference, manifests by their path from the root.
    """
    reference = root / REFERENCE
    pages = render()
    found = [
        path
        for path, text in pages.items()
        if not (reference / path).is_file()
        or (reference / path).read_text(encoding="utf-8") != text
    ]
    orphans = (path.relative_to(reference) for path in reference.glob("*/*.json"))
    found += [path for path in orphans if path not in pages]
    deployed = manifests.rendered()
    found += [
        path
        for path, text in deployed.items()
        if not (root / path).is_file() or (root / path).read_text(encoding="utf-8") != text
    ]
    return [*found, *manifests.orphans(root)]


def write(root: Path = Path()) -> None:
    """Write every page and manifest; remove the schemas of facts and folders of services that are gone."""
    reference = root / REFERENCE
    pages = render()
    for path, text in pages.items():
        (reference / path).parent.mkdir(parents=True, exist_ok=True)
        (reference / path).write_text(text, encoding="utf-8")
    for path in reference.glob("*/*.json"):
        if path.relative_to(reference) not in pages:
            path.unlink()
    for path, text in manifests.rendered().items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    for path in manifests.orphans(root):
        (root / path).unlink()


def _topics_page() -> str:
    lines = [
        NOTICE,
        "# Topics and facts",
        "",
        "Made from `shared/contracts/catalogue.py`.",
        "",
        "```mermaid",
        *_picture(),
        "```",
        "",
        "Everything a service cannot accept goes to its own dead letters.",
        "",
        "## Topics",
        "",
        "| topic | key | kept for | clean-up | partitions | what it carries |",
        "|---|---|---|---|---|---|",
        *(
            f"| `{topic.name}` | {topic.key} | {_kept(topic)} | {topic.cleanup} |"
            f" {topic.partitions} | {topic.description} |"
            for topic in topics()
        ),
        "",
        "## Facts",
        "",
        "| fact | topic | made by | read by | what happened |",
        "|---|---|---|---|---|",
        *(
            f"| [`{row.fact.TYPE}`](schemas/{row.fact.TYPE}.json) | `{row.fact.TOPIC}` |"
            f" {', '.join((row.producer, *row.also_from))} |"
            f" {', '.join(row.consumers) or '-'} |"
            f" {(row.fact.__doc__ or '').strip()} |"
            for row in TABLE
        ),
    ]
    return "\n".join(lines) + "\n"


def _kept(topic: Topic) -> str:
    return "the latest per key" if topic.retention is None else f"{topic.retention.days} days"


def _picture() -> Iterator[str]:
    """Programs, topics, and an arrow for each pair that a fact connects."""
    yield "flowchart LR"
    names: dict[str, str] = {}
    for row in TABLE:
        for who in (row.producer, *row.also_from, *row.consumers):
            names.setdefault(who, who.replace(" ", "-"))
    for who, name in names.items():
        yield f"  {name}[{who}]"
    for topic in topics():
        if any(row.fact.TOPIC == topic.name for row in TABLE):
            yield f"  {topic.name}[({topic.name})]"
    arrows: dict[str, None] = {}
    for row in TABLE:
        for producer in (row.producer, *row.also_from):
            arrows[f"  {names[producer]} --> {row.fact.TOPIC}"] = None
        for consumer in row.consumers:
            arrows[f"  {row.fact.TOPIC} --> {names[consumer]}"] = None
    for service in SERVICES:
        arrows[f"  {service} -.-> {dead_letters(service)}[({dead_letters(service)})]"] = None
    yield from arrows


def _lifecycle_page() -> str:
    lines = [
        NOTICE,
        "# The life of a complaint",
        "",
        "Where a complaint stands, and which fact moves it. What does not fit is refused with `wrong_state`; what the"
        " customer is given for it has a life of its own.",
        "",
        "```mermaid",
        *diagram(),
        "```",
    ]
    return "\n".join(lines) + "\n"


def _reasons_page() -> str:
    lines = [
        NOTICE,
        "# Reason codes",
        "",
        "One code means one thing: as a problem's type, a dead letter's header, a metric's label.",
        "",
        "| code | status over HTTP | meaning |",
        "|---|---|---|",
        *(f"| `{reason.value}` | {reason.status} | {reason.meaning} |" for reason in Reason),
    ]
    return "\n".join(lines) + "\n"


app = typer.Typer(name="docs", help="The generated reference pages.")


@app.callback(invoke_without_command=True)
def docs_command(
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit status 1 if a page is stale.")
    ] = False,
    allow_breaking: Annotated[
        bool, typer.Option("--allow-breaking", help="Before the first release only.")
    ] = False,
) -> None:
    """Write docs/reference and the generated manifests; refuses a breaking change of a committed schema."""
    differ = committed_changes()
    breaking = False
    for kind, found in differ.items():
        for change in found:
            breaking = breaking or change.breaking
            label = "breaking" if change.breaking else "consumers first"
            typer.echo(f"{kind}{change} ({label})", err=True)
    if breaking and not allow_breaking:
        typer.echo(ROLLOUT, err=True)
        raise typer.Exit(1)
    if not check:
        write()
        return
    found_stale = stale()
    for path in found_stale:
        typer.echo(f"{path} is stale: run python -m shared.ops docs", err=True)
    if found_stale:
        raise typer.Exit(1)
