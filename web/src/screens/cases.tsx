/** CASES: mine and those that nobody has, each with its clock. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { away, read, type Row } from "../api";
import { heard, mine, offered, open, site } from "../desk";
import { Icon } from "../icons";
import { Nothing, Screen } from "../parts";
import { to } from "../route";
import { language, moment, say } from "../words";

/** This moment, so that clocks go on. */
const now = signal(Date.now());
const TICK_MS = 30_000;
setInterval(() => (now.value = Date.now()), TICK_MS);

export function Cases() {
  useEffect(
    () =>
      void heard(async () => {
        open.value = (await read<{ complaints: Row[] }>("complaints", "complaints?view=open", language.value)).complaints;
      }),
    [],
  );
  const others = open.value?.filter((one) => !mine.value?.some((own) => own.complaint_id === one.complaint_id)) ?? [];
  const none = !offered.value.length && !mine.value?.length && !others.length;
  return (
    <Screen title={say("app.cases.title")}>
      {none && <Nothing words={say(away.value.has("complaints") ? "app.offline_unknown" : "app.cases.none")} />}
      <Group title="app.give.offered" rows={offered.value} />
      <Group title="app.give.mine" rows={mine.value ?? []} />
      <Group title="app.cases.open" rows={others} />
    </Screen>
  );
}

/** Cases under a title; nothing where there are none. */
export function Group({ title, rows }: { title: string; rows: Row[] }) {
  if (!rows.length) return null;
  return (
    <>
      <h2>{say(title)}</h2>
      <Rows rows={rows} />
    </>
  );
}

function Rows({ rows }: { rows: Row[] }) {
  return (
    <div class="rows">
      {rows.map((one) => (
        <a key={one.complaint_id} class={`row ${one.overdue ? "late" : ""}`} href={to("case", one.complaint_id)}>
          <Icon name={one.category} />
          <span>
            <b>{[say(`category.${one.category}`), other_language(one), one.place].filter(Boolean).join(" · ")}</b>
            {one.beginning && <small class="line">{one.beginning}</small>}
            <Clock by={one.promised_by} overdue={one.overdue} />
          </span>
          <Icon name="next" />
        </a>
      ))}
    </div>
  );
}

/** Says that somebody must read it, where the customer writes a language that is not read. */
const other_language = (one: Row): string => (one.unsupported_language ? say("app.cases.other_language") : "");

/** By when the customer hears from us. */
export function Clock({ by, overdue }: { by: string | null; overdue: boolean }) {
  if (!by) return null;
  const late = overdue || Date.parse(by) < now.value;
  return (
    <small class={late ? "clock late" : "clock"}>
      {say(late ? "app.case.late" : "app.case.by", { time: moment(by, site.value?.timezone) })}
    </small>
  );
}
