"""python -m demo: start a stack, play the story, print the receipt, clean up."""

from __future__ import annotations

import json
import re
import signal
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from demo import tour
from demo.eyes import Eyes, TooLate
from demo.input import InputError, as_event, rows, shifted
from demo.phone_app import Building, building
from demo.receipt import receipt
from demo.show import Show
from demo.story import SITE, NothingToPlay, Stage, play
from devstack.mailbox import Mailbox
from devstack.processes import NotReady, Service, Services, environment
from devstack.stack import StackError, free_port, running
from shared.contracts.event import format_time
from shared.ops import policy, roster, token, topics

ROOT = Path(__file__).parent.parent
RUN = Path(".run")
EMPLOYEE = "e-jonas"
#: The employee whose token is printed: the story's employee has used up their day, this one has not.
VIEWER = "e-ingrid"
#: Polling interval for Ctrl-C; `signal.pause` does not wake if the signal came to another thread or just
#: before.
CTRL_C_LOOK_S = 0.5
#: The story's file has the times of its writing; they become the present when published.
TIME = re.compile(rb'"(time|occurred_at)": ?"[^"]*"')


def own_events() -> list[bytes]:
    """The forty events of the story's own file, dated now."""
    now = format_time(datetime.now(UTC)).encode()
    lines = (ROOT / "demo" / "complaints.jsonl").read_bytes().splitlines()
    return [TIME.sub(rb'"\1": "' + now + b'"', line) for line in lines if line.strip()]


def main(
    input_file: Annotated[Path | None, typer.Option("--input", help="CSV or JSON Lines.")] = None,
    rate: Annotated[
        float, typer.Option(min=0, max=100_000, help="Rows per second; 0: as fast as it goes.")
    ] = 50.0,
    dates: Annotated[
        Literal["keep", "shift"],
        typer.Option(help="Of a file: as they are, or moved so that the newest row is now."),
    ] = "shift",
    report: Annotated[Path | None, typer.Option(help="Write the receipt here as JSON.")] = None,
    text: Annotated[str | None, typer.Option(help="The column with the words.")] = None,
    date: Annotated[str | None, typer.Option(help="The column with the date.")] = None,
    language: Annotated[str | None, typer.Option(help="The column with the language.")] = None,
    row_id: Annotated[str | None, typer.Option("--id", help="The column with the id.")] = None,
    with_tour: Annotated[
        bool, typer.Option("--tour", help="Play the three screens in a browser, and end.")
    ] = False,
) -> None:
    """Play the whole loop once, for real."""
    show = Show()
    events = own_events()
    if input_file is not None:
        try:
            found = list(
                rows(
                    input_file,
                    text_column=text,
                    date_column=date,
                    language_column=language,
                    id_column=row_id,
                )
            )
        except (InputError, OSError) as error:
            show.bad(str(error))
            raise typer.Exit(2) from None
        if not found:
            show.bad(f"{input_file}: no row of it could be read, so there is nothing to play")
            raise typer.Exit(1)
        now = datetime.now(UTC)
        if dates == "shift":
            found, moved = shifted(found, now)
            if moved:
                show.say(
                    f"dates are moved by {moved.days} days: the newest row is now (--dates keep)"
                )
        events = [as_event(row, site=SITE, time=now) for row in found]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        agreed = run(show, events, rate if input_file else None, report, with_tour=with_tour)
    except (NothingToPlay, TooLate, NotReady, StackError) as error:
        show.busy(None)
        show.bad(str(error))
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        show.busy(None)
        show.say("stopped")
        raise typer.Exit(130) from None
    raise typer.Exit(0 if agreed else 1)


def run(
    show: Show,
    events: list[bytes],
    rate: float | None,
    report: Path | None,
    *,
    with_tour: bool = False,
) -> bool:
    """Run from the first process to the receipt; True if everything agrees."""
    show.busy("starting Kafka and Redis (the first time, a minute for 43 MB)")
    with (
        building(RUN / "demo") as build,
        running(RUN, ephemeral=True) as stack,
        Mailbox() as mailbox,
    ):
        show.good(f"Kafka at {stack.bootstrap}, Redis at {stack.redis_url} ({stack.source})")
        topics.create(stack.bootstrap)
        version = policy.publish(ROOT / "policy" / "demo.yaml", stack.bootstrap)
        listed, _ = roster.publish(ROOT / "policy" / "roster.yaml", stack.bootstrap)
        key = token.demo_key(RUN)
        show.good(f"topics created, policy/demo.yaml published as version {version}")
        show.good(f"policy/roster.yaml published, {listed} employees listed")
        eyes = Eyes(stack.bootstrap)
        services = Services(RUN / "demo", environment(RUN, stack.bootstrap, stack.redis_url))
        try:
            show.busy("starting the services")
            named = start_services(services, mailbox, show)
            show.busy(None)
            now = datetime.now(UTC)

            def signed(employee_id: str) -> str:
                return token.sign(key, subject=employee_id, kind="employee", site=SITE, now=now)

            stage = Stage(
                bootstrap=stack.bootstrap,
                complaints=named["complaints"].url,
                compensation=named["compensation"].url,
                notifier=named["notifier"].url,
                mailbox=mailbox,
                eyes=eyes,
                show=show,
                signed=signed,
                employee_id=EMPLOYEE,
            )
            told = play(stage, events, rate)
            origin = start_web(services, show, build)
            result = receipt(eyes, told)
            show_receipt(show, result)
            if report is not None:
                report.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
            if with_tour:
                show.act(9, "Three screens, in a browser")
                tour.play(origin, form_of(origin), RUN / "tour", show)
            elif show.live:
                linger(show, [*named.values()], signed(VIEWER), origin)
        finally:
            show.busy("stopping")
            services.stop()
            eyes.close()
            show.busy(None)
    return all(result["agreements"].values())


def form_of(origin: str) -> str:
    """The open form of a place that the demo's policy names."""
    return f"{origin}/c/{SITE}/restaurant"


def local(port: int) -> str:
    """The address of a port of this machine."""
    return f"http://127.0.0.1:{port}"


def start_services(services: Services, mailbox: Mailbox, show: Show) -> dict[str, Service]:
    """Start those with facts of their own, all at once, and wait for them; returns each by its name.

    Letters and pages link to one another's, so that the addresses are chosen before.
    """
    port, answers, offers = free_port(), free_port(), free_port()
    services.start("complaints", port=str(port), answers_url=local(answers))
    services.start(
        "compensation", port=str(offers), public_url=local(offers), answers_url=local(answers)
    )
    services.start("audit")
    services.start(
        "notifier",
        port=str(answers),
        public_url=local(answers),
        complaints_url=local(port),
        offers_url=local(offers),
        smtp_host="127.0.0.1",
        smtp_port=str(mailbox.port),
    )
    for service in services.running:
        service.wait_ready()
        show.good(f"{service.name:<13} {service.url}")
    return {service.name: service for service in services.running}


def start_web(services: Services, show: Show, build: Building) -> str:
    """Start the one address for browsers, and the issuer that asks who it is, before the services that are ready.

    Waits for the phone app, which web reads at its start. Returns its address. Browsers take a session's cookie
    without TLS from localhost alone, so that is what both are called.
    """
    show.busy("building the phone app")
    if why := build.why_not():
        show.note(f"{why}; the rest works without it ({build.log})")
    ours, issuers = free_port(), free_port()
    origin, issuer = (f"http://localhost:{port}" for port in (ours, issuers))
    apis = {f"{service.name}_api": service.url for service in services.running}
    started = [
        services.start(
            "idp",
            module="devstack.idp",
            port=str(issuers),
            issuer_url=issuer,
            origin=origin,
            run_directory=str(RUN),
            roster=str(ROOT / "policy" / "roster.yaml"),
        ),
        services.start(
            "web",
            port=str(ours),
            origin=origin,
            issuer_url=issuer,
            web_dist=str(ROOT / "web" / "dist"),
            **apis,
        ),
    ]
    for service, where in zip(started, (issuer, origin), strict=True):
        service.wait_ready()
        show.good(f"{service.name:<13} {where}")
    show.busy(None)
    return origin


def show_receipt(show: Show, result: dict[str, Any]) -> None:
    """Act 8: the receipt."""
    show.act(8, "The receipt, read back from the topics by an independent reader")
    complaints, checks = result["complaints"], result["checks"]
    show.table("complaints", complaints.items())
    sums = ", ".join(f"{minor / 100:.2f} {name}" for name, minor in checks["amount_minor"].items())
    show.table(
        "checks", [("given", checks["given"]), ("refused", checks["refused"]), ("sum", sums)]
    )
    show.table("messages sent", result["messages"].items())
    show.table("records per topic", result["facts"].items())
    for statement, holds in result["agreements"].items():
        (show.good if holds else show.bad)(statement)
    show.say(f"seconds from the first event to the first check: {result['seconds_to_first_check']}")


def linger(show: Show, services: Sequence[Service], signed: str, origin: str) -> None:
    """Leave the services up on a terminal until Ctrl-C, which is how this ends well."""
    show.act(9, "Now you. All of it stays up until Ctrl-C")
    for service in services:
        show.say(f"{service.name:<13} {service.url}  described at {service.ops_url}/docs")
    show.say("sixty seconds on three screens:")
    show.say(f"a guest says what happened  {form_of(origin)}")
    show.say(f"an employee gives           {origin}/app/ (sign in as anybody on the roster)")
    show.say(f"the board shows it          {origin}/board/ (sign in as the manager)")
    show.say(f"a token for {VIEWER} (local demo only): {signed}")
    try:
        while True:
            time.sleep(CTRL_C_LOOK_S)
    except KeyboardInterrupt:
        show.say("stopping")


if __name__ == "__main__":
    typer.run(main)
