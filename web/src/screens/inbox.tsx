/** INBOX: thanks first of all, and what colleagues and promises ask of me. */
import { useEffect } from "preact/hooks";
import { away, tap } from "../api";
import { heard, inbox, site } from "../desk";
import { Icon } from "../icons";
import { Nothing, Screen } from "../parts";
import { to } from "../route";
import { language, moment, say } from "../words";

export function Inbox() {
  const found = inbox.value;
  const newest = found?.entries[0]?.number ?? 0;
  useEffect(() => {
    if (!found?.unread) return;
    // The same number names the same reading, so that a repeat changes nothing.
    void heard(async () => {
      await tap("notifier", "me/inbox/read", { up_to: newest }, language.value);
      inbox.value = { ...found, unread: 0 };
    });
  }, [newest]);
  return (
    <Screen title={say("app.inbox.title")}>
      {!found?.entries.length && <Nothing words={say(!found && away.value.has("notifier") ? "app.offline_unknown" : "app.inbox.none")} />}
      <div class="rows">
        {found?.entries.map((one) => (
          <a key={one.number} class={`row ${one.number > found.read_up_to ? "new" : ""}`} {...(one.complaint_id ? { href: to("case", one.complaint_id) } : {})}>
            <Icon name={one.what === "thanked" ? "done" : "inbox"} />
            <span>
              <b>{say(`app.told.${one.what}`)}</b>
              {one.line && <small class="line">“{one.line}”</small>}
              <small>{[one.reference, moment(one.at, site.value?.timezone)].filter(Boolean).join(" · ")}</small>
            </span>
            {one.complaint_id && <Icon name="next" />}
          </a>
        ))}
      </div>
    </Screen>
  );
}
