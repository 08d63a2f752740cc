/** GIVE: what is left, who the guest is, and what happened, which is the first tap. */
import { useEffect } from "preact/hooks";
import type { Category } from "../api";
import { authority, choices, incidents, mine, offered, site, tightest } from "../desk";
import { booking, forget_sheet } from "../gift";
import { Icon } from "../icons";
import { Rows, Screen } from "../parts";
import { to } from "../route";
import { Scan } from "../scan";
import { moment, money, say } from "../words";
import { Group } from "./cases";

/** How many of my cases and of my offers stand here; the others are a tap away. */
const SHOWN = 3;
const CATEGORIES: Category[] = ["food", "delay", "noise", "cleanliness", "staff", "billing", "baggage", "facilities", "safety", "other"];

export function Give() {
  useEffect(forget_sheet, []);
  return (
    <Screen title={say("app.give.title")}>
      <Left />
      <Booking />
      <section aria-label={say("app.give.title")} class="chips">
        {CATEGORIES.map((one) => (
          <a key={one} href={to("what", one)}>
            <Icon name={one} />
            <span>{say(`category.${one}`)}</span>
          </a>
        ))}
      </section>
      {incidents.value.map((one) => (
        <a key={one.incident_id} class="row accent" href={to("what", one.reason)}>
          <span>
            <b>{say("app.incident.title", { about: say(`category.${one.reason}`) })}</b>
            <small>{say("app.incident.affected", { count: one.affected })}</small>
          </span>
          <Icon name="next" />
        </a>
      ))}
      <Group title="app.give.offered" rows={offered.value} />
      <Choosing />
      <Group title="app.give.mine" rows={mine.value?.slice(0, SHOWN) ?? []} />
    </Screen>
  );
}

/** What is left of my own windows, as a bar; the number is what may be given, never what anything costs. */
function Left() {
  const now = tightest(authority.value?.scopes ?? []);
  const currency = site.value?.currency;
  if (!now || !currency) return <div class="left empty" />;
  const until = now.until && moment(now.until, site.value?.timezone);
  return (
    <div class="left">
      <p>
        <b>{money(now.left_minor, currency)}</b> {until ? say("app.left.until", { time: until }) : say("app.left.title")}
      </p>
      <progress max={now.ceiling_minor} value={now.left_minor} aria-label={say("app.left.title")} />
    </div>
  );
}

/** Guests who have not chosen from what I offered. */
function Choosing() {
  if (!choices.value.length) return null;
  return (
    <>
      <h2>{say("app.give.chooses")}</h2>
      <Rows
        key={choices.value.length}
        first={SHOWN}
        of={choices.value.map((one) => (
          <a key={one.offer_id} class="row" href={to("case", one.complaint_id)}>
            <Icon name={one.reason} />
            <span>
              <b>{say(`category.${one.reason}`)}</b>
              <small>{say("app.offer.until", { time: moment(one.expires_at, site.value?.timezone) })}</small>
            </span>
            <Icon name="next" />
          </a>
        ))}
      />
    </>
  );
}

function Booking() {
  return (
    <div class="field scan">
      <label for="booking">{say("app.give.booking")}</label>
      <div>
        <input
          id="booking"
          value={booking.value}
          autocomplete="off"
          autocapitalize="characters"
          maxLength={100}
          placeholder={say("app.optional")}
          onInput={(event) => (booking.value = event.currentTarget.value)}
        />
        <Scan found={(text) => (booking.value = text)} />
      </div>
    </div>
  );
}
