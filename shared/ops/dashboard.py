"""The Grafana dashboards as code: one row per question that an operator, or a manager, asks first."""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import ceil
from typing import Any

#: Rows of a dashboard: a question, and panels of (title, unit, query, legend).
Panel = tuple[str, str, str, str]
Rows = tuple[tuple[str, tuple[Panel, ...]], ...]
Variable = dict[str, Any]
ROWS: Rows = (
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
                "What this version cannot read in the store",
                "ops",
                "sum by (service, kind) (rate(store_unreadable_total[5m]))",
                "{{service}} {{kind}}",
            ),
            (
                "Requests refused unread",
                "ops",
                "sum by (reason) (rate(http_refused_total[5m]))",
                "{{reason}}",
            ),
            (
                "Clients that follow the queue, by process",
                "short",
                "live_listeners > 0",
                "{{instance}}",
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
                "Events with unknown fields per hour",
                "short",
                "sum by (service, topic) (increase(unknown_fields_total[1h]))",
                "{{service}} {{topic}}",
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
                "Providers that fail",
                "short",
                "max by (provider) (provider_open)",
                "{{provider}}",
            ),
            (
                "Webhooks to partners per hour",
                "short",
                "sum by (endpoint, fate) (increase(webhooks_total[1h]))",
                "{{endpoint}} {{fate}}",
            ),
            (
                "Partners whose endpoint fails, and when it last did",
                "dateTimeAsIso",
                '(max by (endpoint) (webhook_timestamp_seconds{fate="not_taken"})'
                ' > max by (endpoint) (webhook_timestamp_seconds{fate="taken"})) * 1000',
                "{{endpoint}}",
            ),
            (
                "Promises not kept, per hour",
                "short",
                "sum(increase(promises_broken_total[1h]))",
                "promises",
            ),
            (
                "Mails read per hour",
                "short",
                "sum by (account, fate) (increase(mails_total[1h]))",
                "{{account}} {{fate}}",
            ),
            (
                "Looks into mailboxes per hour",
                "short",
                "sum by (account) (increase(mail_looks_total[1h]))",
                "{{account}}",
            ),
        ),
    ),
)


def _of(title: str, unit: str, measure: str) -> Panel:
    """A measure of today; every process of audit tells the same."""
    query = f'max by (site, part) (measure_today{{measure="{measure}", site=~"$site"}})'
    return title, unit, query, "{{site}} {{part}}"


#: The measures of today, those that lead before those that lag.
MEASURES: Rows = (
    (
        "What happens today? (leading)",
        (
            _of("Complaints, in all and by category", "short", "complaints"),
            _of("Checks given", "short", "checks_given"),
            _of("Checks taken back", "short", "checks_taken_back"),
            _of("Value given, minor units", "short", "value_given"),
        ),
    ),
    (
        "Are customers answered? (leading)",
        (
            _of("Time to the first check", "s", "time_to_compensation"),
            _of("First checks on the spot", "percent", "on_the_spot_rate"),
            _of("Promises not kept", "short", "overdue_promises"),
            _of("Promises not kept, of those made", "percent", "overdue_rate"),
        ),
    ),
    (
        "Is authority used, and are letters delivered? (leading)",
        (
            _of("Authority used, of windows that ended", "percent", "authority_utilisation"),
            _of("Employees who gave nothing", "percent", "non_use_rate"),
            _of("Messages delivered, of those with an address", "percent", "delivery_success"),
            _of("Messages without an address", "short", "messages_without_address"),
        ),
    ),
    (
        "Did it help? (lagging)",
        (
            _of("Customers who say that it helped", "percent", "helped_rate"),
            _of("Customers who returned", "short", "customers_returned"),
            _of("Complaints reopened", "percent", "reopen_rate"),
            _of("Value redeemed", "percent", "redemption_rate"),
            _of("Value that expired", "percent", "breakage"),
        ),
    ),
    (
        "What does it cost, and what does it bring?",
        (
            _of("Cost of what was given, minor units", "short", "cost_given"),
            _of("Cost per helped customer, minor units", "short", "cost_per_helped_customer"),
            _of("Bought by customers who returned, minor units", "short", "returned_value"),
            _of("Return on recovery, by the default assumptions", "percent", "recovery_roi"),
        ),
    ),
    (
        "What do customers say when it is over?",
        (
            _of("Mean answer to each question of the site", "none", "survey_scores"),
            _of("Answers to questions of the site", "short", "survey_answers"),
        ),
    ),
    (
        "How is each step of the journey, and how much does it matter?",
        (
            _of("Mean answer how a step was", "none", "experience"),
            _of("Mean answer how much a step matters", "none", "importance"),
        ),
    ),
    (
        "Who was delighted, without a complaint?",
        (
            _of("Checks given to delight", "short", "delights_given"),
            _of("Cost of delight, minor units", "short", "delight_cost"),
        ),
    ),
    (
        "What delights?",
        (_of("Praise", "short", "praise"),),
    ),
    (
        "What goes wrong again?",
        (
            _of("Complaints put down to a cause", "short", "causes_named"),
            _of("Things done about causes", "short", "cause_actions"),
            _of("Complaints of causes that came back", "short", "causes_came_back"),
        ),
    ),
)
#: What whoever looks at a dashboard may choose.
DATASOURCE: Variable = {"name": "datasource", "type": "datasource", "query": "prometheus"}
SITE: Variable = {
    "name": "site",
    "type": "query",
    "datasource": {"type": "prometheus", "uid": "${datasource}"},
    "query": "label_values(measure_today, site)",
    "refresh": 2,
    "sort": 1,
    "multi": True,
    "includeAll": True,
    "allValue": ".*",
    "current": {"text": ["All"], "value": ["$__all"]},
}
#: Grafana's grid is 24 wide; four panels beside each other.
WIDTH, HEIGHT, ACROSS = 6, 7, 4


def text() -> str:
    """The operators' dashboard as JSON, as Grafana's provisioning reads it."""
    return _written("service-check", "Service Check", ROWS, [DATASOURCE])


def measures() -> str:
    """The dashboard of measures, in the same form."""
    title = "Service Check: measures of today"
    return _written("service-check-measures", title, MEASURES, [DATASOURCE, SITE])


def _written(uid: str, title: str, rows: Rows, variables: Sequence[Variable]) -> str:
    panels: list[dict[str, Any]] = []
    top = 0
    for question, row in rows:
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
        for place, (name, unit, query, legend) in enumerate(row):
            # A return may be below zero.
            lowest = {} if unit == "percent" else {"min": 0}
            panels.append(
                {
                    "type": "timeseries",
                    "id": len(panels) + 1,
                    "title": name,
                    "datasource": {"type": "prometheus", "uid": "${datasource}"},
                    "gridPos": {
                        "x": place % ACROSS * WIDTH,
                        "y": top + 1 + place // ACROSS * HEIGHT,
                        "w": WIDTH,
                        "h": HEIGHT,
                    },
                    "fieldConfig": {"defaults": {"unit": unit, **lowest}, "overrides": []},
                    "targets": [{"refId": "A", "expr": query, "legendFormat": legend}],
                }
            )
        top += 1 + ceil(len(row) / ACROSS) * HEIGHT
    whole = {
        "uid": uid,
        "title": title,
        "schemaVersion": 39,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": variables},
        "panels": panels,
    }
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"
