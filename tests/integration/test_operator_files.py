"""What operators publish lies on its topic as it is in the file, and is built on what lay there."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path

import pytest
from kafka import KafkaConsumer, TopicPartition
from typer.testing import CliRunner

from devstack.stack import Stack
from shared.contracts.event import Event
from shared.contracts.policy import PolicyPublished
from shared.contracts.roster import EmployeeListed
from shared.ops import policy, roster, topics
from shared.ops.__main__ import app
from shared.runtime.engine.relay import partition_of
from shared.runtime.policy_file import load

ROOT = Path(__file__).parents[2]


@pytest.fixture
def bootstrap(stack: Stack) -> str:
    topics.create(stack.bootstrap)
    return stack.bootstrap


def test_each_policy_that_is_published_is_the_next_version_of_its_site(
    bootstrap: str, tmp_path: Path
) -> None:
    path = tmp_path / "policy.yaml"
    text = (ROOT / "policy/demo.yaml").read_text(encoding="utf-8")
    path.write_text(text.replace("site: ms-aurora", "site: ms-versions"), encoding="utf-8")
    assert policy.last_version("ms-versions", bootstrap) == 0
    assert [policy.publish(path, bootstrap) for _ in range(2)] == [1, 2]
    assert policy.last_version("ms-versions", bootstrap) == 2
    events = [
        Event[PolicyPublished].model_validate_json(value)
        for key, value in topics.records(PolicyPublished.TOPIC, bootstrap)
        if key == "ms-versions"
    ]
    assert [event.cause for event in events] == ["operator/policy/1", "operator/policy/2"]
    assert events[-1].data.policy == load(path)
    first, second = [event.data.published_at for event in events]
    assert first is not None
    assert second is not None
    assert first < second


def test_a_policy_lies_where_compensation_would_put_it(bootstrap: str, tmp_path: Path) -> None:
    """Both publish policies, and compaction keeps one within a partition."""
    governed("ms-placed", bootstrap, tmp_path)
    parts = topics.partition_counts(topics.bootstrap_servers(bootstrap))[PolicyPublished.TOPIC]
    lies = {
        one.partition
        for one in topics.scan(PolicyPublished.TOPIC, bootstrap)
        if one.key == b"ms-placed"
    }
    assert lies == {partition_of("ms-placed", parts)}


def governed(site: str, bootstrap: str, directory: Path) -> None:
    """Give a site a policy."""
    text = (ROOT / "policy/demo.yaml").read_text(encoding="utf-8")
    path = directory / f"{site}.yaml"
    path.write_text(text.replace("site: ms-aurora", f"site: {site}"), encoding="utf-8")
    policy.publish(path, bootstrap)


def test_a_site_without_a_policy_lists_nobody(bootstrap: str, tmp_path: Path) -> None:
    path = tmp_path / "roster.yaml"
    path.write_text("site: ms-lawless\nemployees:\n  e-boss: {role: any}\n", encoding="utf-8")
    answer = CliRunner().invoke(app, ["roster", "publish", str(path), "--bootstrap", bootstrap])
    assert (answer.exit_code, answer.stderr.splitlines()) == (
        1,
        ["ms-lawless has no policy: publish one first; without it nobody there may give anything"],
    )
    assert not [
        key for key, _ in topics.records(EmployeeListed.TOPIC, bootstrap) if "e-boss" in key
    ]


def test_the_file_is_the_whole_roster_of_its_site_and_of_no_other(
    bootstrap: str, tmp_path: Path
) -> None:
    def publish(site: str, *names: str) -> str:
        path = tmp_path / "roster.yaml"
        lines = [f"site: {site}", "employees:", *(f"  {name}: {{role: deck}}" for name in names)]
        path.write_text("\n".join(lines), encoding="utf-8")
        answer = CliRunner().invoke(app, ["roster", "publish", str(path), "--bootstrap", bootstrap])
        assert answer.exit_code == 0, answer.stderr
        return answer.stdout.removeprefix(f"{path}: ").strip()

    for site in ("ms-elsewhere", "ms-roster"):
        governed(site, bootstrap, tmp_path)
    assert publish("ms-elsewhere", "e-far") == "1 listed, 0 no longer active"
    assert publish("ms-roster", "e-one", "e-two", "e-three") == "3 listed, 0 no longer active"
    assert publish("ms-roster", "e-two", "e-four") == "2 listed, 2 no longer active"
    assert publish("ms-roster", "e-two", "e-four") == "2 listed, 0 no longer active"

    events = [
        (key, Event[EmployeeListed].model_validate_json(value))
        for key, value in topics.records(EmployeeListed.TOPIC, bootstrap)
        if " e-" in key
    ]
    mine = [event for _, event in events if event.data.site in {"ms-elsewhere", "ms-roster"}]
    latest = {event.data.employee_id: event.data.listing.active for event in mine}
    assert latest == {
        "e-far": True,
        "e-one": False,
        "e-two": True,
        "e-three": False,
        "e-four": True,
    }
    assert all(key == event.data.key() == event.subject for key, event in events)
    assert {event.source for event in mine} == {roster.SOURCE}
    assert all((event.cause or "").startswith("operator/roster/20") for event in mine)
    assert len({event.id for event in mine}) == len(mine)


def test_a_listing_lies_where_compensation_would_put_it_so_that_compaction_keeps_one(
    bootstrap: str,
) -> None:
    policy.publish(ROOT / "policy/demo.yaml", bootstrap)
    roster.publish(ROOT / "policy/roster.yaml", bootstrap)
    with closing(KafkaConsumer(bootstrap_servers=bootstrap, group_id=None)) as consumer:
        numbers = sorted(consumer.partitions_for_topic(EmployeeListed.TOPIC) or ())
        places = [TopicPartition(EmployeeListed.TOPIC, number) for number in numbers]
        consumer.assign(places)
        consumer.seek_to_beginning(*places)
        ends = consumer.end_offsets(places)
        found = []
        deadline = time.monotonic() + topics.PATIENCE_S
        while any(consumer.position(place) < ends[place] for place in places):
            assert time.monotonic() < deadline
            found += [one for some in consumer.poll(timeout_ms=200).values() for one in some]
    assert len(numbers) > 1
    assert {one.key for one in found} >= {
        f"ms-aurora {name}".encode() for name in ("e-ingrid", "e-jonas", "e-sofia", "e-lars")
    }
    for one in found:
        assert one.partition == partition_of(one.key.decode(), len(numbers))


def test_a_topic_that_is_not_there_is_said_and_not_made(bootstrap: str) -> None:
    with pytest.raises(LookupError, match="topics create"):
        list(topics.records("recovery.nothing.v1", bootstrap))
