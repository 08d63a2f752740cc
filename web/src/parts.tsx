/** Parts that several screens are made of. */
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { as_of, inbox, notice, online, site } from "./desk";
import { waiting } from "./drafts/giving";
import { Icon, type IconName } from "./icons";
import { route, to } from "./route";
import { Title } from "./title";
import { moment, say } from "./words";

const STALE_MS = 60_000;

/** A screen: the way back, its title, what it says, and what the thumb reaches first at its foot. */
export function Screen(props: { title: string; back?: string; lead?: string; foot?: ComponentChildren; children: ComponentChildren }) {
  return (
    <>
      <header>
        {props.back !== undefined ? (
          <a class="round" href={props.back} aria-label={say("app.back")}>
            <Icon name="back" />
          </a>
        ) : (
          <p class="site">{site.value?.name ?? "Service Check"}</p>
        )}
        <Standing />
      </header>
      <main class={props.foot ? "footed" : ""}>
        <Title words={props.title} />
        {props.lead && <p class="lead">{props.lead}</p>}
        <p class="notice" role="status">
          {notice.value}
        </p>
        {props.children}
      </main>
      {props.foot && <footer class="foot">{props.foot}</footer>}
    </>
  );
}

/** Whether what is shown is fresh, and how many drafts wait. */
function Standing() {
  const count = waiting();
  const stale = !online.value || (as_of.value > 0 && Date.now() - as_of.value > STALE_MS);
  return (
    <div class="standing">
      {count > 0 && (
        <a class="pill" href={to("drafts")}>
          {say("app.drafts.count", { count })}
        </a>
      )}
      {stale && (
        <span class="pill quiet" role="status">
          {!online.value && <Icon name="away" />}
          {as_of.value ? say("app.as_of", { time: moment(as_of.value, site.value?.timezone) }) : say("app.offline")}
        </span>
      )}
    </div>
  );
}

const TABS: { name: string; icon: IconName; key: string }[] = [
  { name: "", icon: "gift", key: "app.tab.give" },
  { name: "cases", icon: "cases", key: "app.tab.cases" },
  { name: "inbox", icon: "inbox", key: "app.tab.inbox" },
  { name: "me", icon: "me", key: "app.tab.me" },
];

/** The four places that every screen is one tap away from. */
export function Tabs() {
  const unread = inbox.value?.unread ?? 0;
  return (
    <nav aria-label={say("app.tab.title")}>
      {TABS.map((tab) => (
        <a key={tab.name} href={to(tab.name)} aria-current={route.value[0] === tab.name ? "page" : undefined}>
          <Icon name={tab.icon} />
          <span>{say(tab.key)}</span>
          {tab.name === "inbox" && unread > 0 && (
            <b class="badge" aria-label={say("app.inbox.unread", { count: unread })}>
              {unread}
            </b>
          )}
        </a>
      ))}
    </nav>
  );
}

/** One of a few, each a tap. */
export function Choices<T extends string>(props: {
  legend: string;
  options: readonly { value: T; title: string }[];
  value: T | undefined;
  pick: (value: T) => void;
}) {
  return (
    <fieldset class="choices">
      <legend>{props.legend}</legend>
      <div>
        {props.options.map((one) => (
          <label key={one.value}>
            <input type="radio" name={props.legend} checked={props.value === one.value} onChange={() => props.pick(one.value)} />
            <span>{one.title}</span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}

/** What the law gives the guest; folded unless it is `open`. */
export function Rights({ words, open = false }: { words: string; open?: boolean }) {
  return (
    <details class="strip" open={open}>
      <summary>
        <Icon name="law" />
        {say("app.rights")}
      </summary>
      <p>{words}</p>
    </details>
  );
}

/** How many rows of a list are shown at first. */
const ROWS = 5;

/** Rows, of a long list the first ones; one that is alone behind the others is shown with them. */
export function Rows({ of, first = ROWS }: { of: ComponentChildren[]; first?: number }) {
  const [all, show] = useState(of.length <= first + 1);
  return (
    <div class="rows">
      {all ? of : of.slice(0, first)}
      {!all && (
        <button type="button" class="plain" onClick={() => show(true)}>
          {say("app.more", { count: of.length - first })}
        </button>
      )}
    </div>
  );
}

/** Where there is nothing to show, why. */
export function Nothing({ words }: { words: string }) {
  return <p class="nothing">{words}</p>;
}
