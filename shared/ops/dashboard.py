"""The Grafana dashboard as code: one row per question that an operator asks first."""

from __future__ import annotations

import json
from typing import Any

#: Rows of the dashboard: a question, and panels of (title, unit, query, legend).
Panel = tuple[str, str, str, str]
ROWS: tuple[tuple[str, tuple[Panel, ...]], ...] = (
    (
        "Are people answered?",
        (
            (
                "Requests by status",
                "reqps",
                "sum by (service, status) (rate(requests_total[5m]))",
                "{{service}} {{status}}",
            ),
            (
                "Time to answer, slowest 1 in 100",
                "s",
                "histogram_quantile(0.99, sum by (service, le) (rate(request_seconds_bucket[5m])))",
                "{{service}}",
            ),
            (
                "Commits that the store refused",
                "ops",
                "sum by (service, reason) (rate(commits_refused_total[5m]))",
                "{{service}} {{reason}}",
            ),
            (
                "Requests refused unread",
                "ops",
                "sum by (reason) (rate(http_refused_total[5m]))",
                "{{reason}}",
            ),
        ),
    ),
    (
        "Do facts reach Kafka?",
        (
            (
                "Facts that wait",
                "short",
                "max by (service) (outbox_waiting_lines)",
                "{{service}}",
            ),
            (
                "Age of the oldest",
                "s",
                "max by (service) (outbox_oldest_seconds)",
                "{{service}}",
            ),
            (
                "Facts published",
                "ops",
                "sum by (service) (rate(relayed_lines_total[5m]))",
                "{{service}}",
            ),
            (
                "Facts per turn of the relay",
                "short",
                "sum by (service) (rate(relay_turn_lines_sum[5m]))"
                " / sum by (service) (rate(relay_turn_lines_count[5m]))",
                "{{service}}",
            ),
        ),
    ),
    (
        "Do streams go on?",
        (
            (
                "Records settled",
                "ops",
                "sum by (service, topic) (rate(settled_records_total[5m]))",
                "{{service}} {{topic}}",
            ),
            (
                "Dead letters per hour",
                "short",
                "sum by (service, reason) (increase(dead_letters_total[1h]))",
                "{{service}} {{reason}}",
            ),
            (
                "Batches tried again",
                "ops",
                "sum by (service) (rate(stream_retries_total[5m]))",
                "{{service}}",
            ),
            (
                "Records and batches read again, and holes, per hour",
                "short",
                "sum by (topic) (increase(records_missed_total[1h])"
                " or increase(batches_read_again_total[1h]) or increase(log_holes_total[1h]))",
                "{{topic}}",
            ),
        ),
    ),
    (
        "Do customers hear from us?",
        (
            (
                "Messages per hour",
                "short",
                "sum by (occasion, fate) (increase(messages_total[1h]))",
                "{{occasion}} {{fate}}",
            ),
            (
                "Promises not kept, per hour",
                "short",
                "sum(increase(promises_broken_total[1h]))",
                "promises",
            ),
        ),
    ),
)
#: Grafana's grid is 24 wide; four panels a row.
WIDTH, HEIGHT = 6, 7


def text() -> str:
    """The dashboard as JSON, as Grafana's provisioning reads it."""
    panels: list[dict[str, Any]] = []
    for number, (question, row) in enumerate(ROWS):
        top = number * (HEIGHT + 1)
        panels.append(
            {
                "type": "row",
                "id": len(panels) + 1,
                "title": question,
                "collapsed": False,
                "gridPos": {"x": 0, "y": top, "w": 24, "h": 1},
                "panels": [],
            }
        )
        for place, (title, unit, query, legend) in enumerate(row):
            panels.append(
                {
                    "type": "timeseries",
                    "id": len(panels) + 1,
                    "title": title,
                    "datasource": {"type": "prometheus", "uid": "${datasource}"},
                    "gridPos": {"x": place * WIDTH, "y": top + 1, "w": WIDTH, "h": HEIGHT},
                    "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
                    "targets": [{"refId": "A", "expr": query, "legendFormat": legend}],
                }
            )
    whole = {
        "uid": "service-check",
        "title": "Service Check",
        "schemaVersion": 39,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {
            "list": [{"name": "datasource", "type": "datasource", "query": "prometheus"}]
        },
        "panels": panels,
    }
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"
