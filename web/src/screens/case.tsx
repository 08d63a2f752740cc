/** CASE: what happened, what to say, and what I can do: claim, give, fix, settle, hand over. */
import { useEffect, useState } from "preact/hooks";
import { away, type Colleagues, type Complaint, type Entry, type Playbook, read, tap } from "../api";
import { done, heard, me, notice, refresh, refusal, site } from "../desk";
import { spoken } from "../gift";
import { Nothing, Screen } from "../parts";
import { to } from "../route";
import { known, language, moment, money, say } from "../words";
import { Clock } from "./cases";

interface Shown {
  complaint: Complaint;
  playbook: Playbook | null;
  entries: Entry[];
}

const OVER = ["confirmed", "closed_no_response", "withdrawn", "not_a_complaint", "referred_external", "merged"];

/** Run a write of a case, show it again, and say why it did not work. */
async function act(path: string, body: unknown, again: () => Promise<void>): Promise<void> {
  if (await done(() => tap("complaints", path, body, language.value), refusal)) notice.value = "";
  await again();
  void refresh();
}

export function Case({ id }: { id: string }) {
  const [shown, show] = useState<Shown | null>(null);
  const again = async (): Promise<void> => {
    const path = `complaints/${id}`;
    await heard(async () => {
      const complaint = await read<Complaint>("complaints", path, language.value);
      const { entries } = await read<{ entries: Entry[] }>("complaints", `${path}/timeline`, language.value);
      show({ complaint, entries, playbook: null });
      const playbook = await read<Playbook>("complaints", `${path}/playbook`, language.value);
      show({ complaint, entries, playbook });
    });
  };
  useEffect(() => void again(), [id]);
  if (!shown) {
    return (
      <Screen title={say("app.case.title")} back={to("cases")}>
        <Nothing words={say(away.value.has("complaints") ? "app.offline_unknown" : "app.loading")} />
      </Screen>
    );
  }
  const { complaint, playbook, entries } = shown;
  const over = OVER.includes(complaint.state);
  const foot = !over && (
    <a class="primary" href={to("what", complaint.category, id)} onClick={() => (spoken.value = complaint.language)}>
      {say("app.case.give")}
    </a>
  );
  return (
    <Screen title={say("app.case.reference", { reference: complaint.reference })} back={to("cases")} foot={foot}>
      <p class="tags">
        <span>{say(`category.${complaint.category}`)}</span>
        <span>{say(`app.state.${complaint.state}`)}</span>
        {complaint.place && <span>{complaint.place}</span>}
      </p>
      {!over && <Clock by={complaint.promised_by} overdue={complaint.overdue} />}
      {complaint.unsupported_language && <p class="lead">{say("app.case.other_language")}</p>}
      {complaint.text && (
        <blockquote lang={complaint.unsupported_language ? "und" : complaint.language}>{complaint.text}</blockquote>
      )}
      {playbook && <Say playbook={playbook} />}
      {!over && <Actions complaint={complaint} playbook={playbook} again={again} />}
      <h2>{say("app.case.timeline")}</h2>
      <ol class="timeline">
        {entries.map((one) => (
          <Happened key={`${one.at} ${one.what}`} entry={one} />
        ))}
      </ol>
    </Screen>
  );
}

function Say({ playbook }: { playbook: Playbook }) {
  const words = playbook.say[language.value] ?? Object.values(playbook.say)[0];
  if (!words) return null;
  return (
    <section class="say" aria-label={say("app.case.say")}>
      <small>{say("app.case.say")}</small>
      <p>{words}</p>
    </section>
  );
}

function Actions({ complaint, playbook, again }: { complaint: Complaint; playbook: Playbook | null; again: () => Promise<void> }) {
  const path = `complaints/${complaint.complaint_id}`;
  const mine = complaint.employee_id === me.value?.employee_id;
  const asked = complaint.asked_colleague === me.value?.employee_id;
  if (asked) {
    return (
      <div class="pair">
        <button type="button" class="plain" onClick={() => void act(`${path}/accept`, {}, again)}>{say("app.case.accept")}</button>
        <button type="button" class="quiet-button" onClick={() => void act(`${path}/decline`, {}, again)}>{say("app.case.decline")}</button>
      </div>
    );
  }
  if (!mine) {
    return complaint.employee_id ? (
      <p class="lead">{say("app.case.owner", { who: complaint.employee_id })}</p>
    ) : (
      <button type="button" class="plain" onClick={() => void act(`${path}/claim`, {}, again)}>{say("app.case.claim")}</button>
    );
  }
  return (
    <>
      {playbook && playbook.fixes.length > 0 && (
        <details class="strip">
          <summary>{say("app.case.fix")}</summary>
          {playbook.fixes.map((one) => (
            <button key={one.fix} type="button" class="plain" onClick={() => void act(`${path}/fix`, { fix: one.fix }, again)}>
              {one.title[language.value] ?? one.fix}
            </button>
          ))}
        </details>
      )}
      <Settle path={path} again={again} />
      <HandOver path={path} again={again} />
    </>
  );
}

function Settle({ path, again }: { path: string; again: () => Promise<void> }) {
  const [note, write_note] = useState("");
  const resolve = (outcome: string): void => void act(`${path}/resolve`, { outcome, ...(note ? { note } : {}) }, again);
  return (
    <details class="strip">
      <summary>{say("app.case.settle")}</summary>
      <div class="field">
        <label for="outcome">{say("app.case.note")}</label>
        <textarea id="outcome" rows={2} maxLength={2000} placeholder={say("app.optional")} value={note} onInput={(event) => write_note(event.currentTarget.value)} />
      </div>
      {(["fixed", "explained", "not_possible"] as const).map((one) => (
        <button key={one} type="button" class="plain" onClick={() => resolve(one)}>
          {say(`app.outcome.${one}`)}
        </button>
      ))}
    </details>
  );
}

function HandOver({ path, again }: { path: string; again: () => Promise<void> }) {
  const [found, find] = useState<Colleagues | null>(null);
  const look = (): void =>
    void heard(async () => find(await read<Colleagues>("complaints", "complaints/colleagues", language.value)));
  return (
    <details class="strip" onToggle={(event) => event.currentTarget.open && !found && look()}>
      <summary>{say("app.case.hand_over")}</summary>
      {found?.departments.map((one) => (
        <button key={one.id} type="button" class="plain" onClick={() => void act(`${path}/handover`, { department: one.id }, again)}>
          {one.title[language.value] ?? one.id}
        </button>
      ))}
      {found?.colleagues.map((one) => (
        <button key={one.employee_id} type="button" class="plain" onClick={() => void act(`${path}/handover`, { colleague_id: one.employee_id }, again)}>
          {one.employee_id} <small>{say("app.case.has_open", { count: one.open })}</small>
        </button>
      ))}
    </details>
  );
}

function Happened({ entry }: { entry: Entry }) {
  const amount = entry.amount_minor && entry.currency ? money(entry.amount_minor, entry.currency) : "";
  return (
    <li class={entry.who}>
      <small>{moment(entry.at, site.value?.timezone)}</small>
      <b>{known(`app.happened.${entry.what}`) ? say(`app.happened.${entry.what}`) : entry.what}</b>
      {(amount || entry.item) && <span>{[entry.item?.split("/")[0], amount].filter(Boolean).join(" · ")}</span>}
      {entry.text && <blockquote>{entry.text}</blockquote>}
    </li>
  );
}
