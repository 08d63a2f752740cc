/** DONE: what the guest takes along, in their language; below it what the employee may still do. */
import { useEffect, useState } from "preact/hooks";
import { type Given, tap } from "../api";
import { done, site, tightest } from "../desk";
import { drafts, took_back } from "../drafts/giving";
import { Choices, Nothing, Rights, Screen } from "../parts";
import { Qr } from "../qr";
import { to } from "../route";
import { LANGUAGES, language, type Language, load, moment, money, say, sayIn, worth } from "../words";

export function Done({ draft }: { draft: string }) {
  const found = drafts.value.find((one) => one.key === draft);
  const spoken = (found && found.language in LANGUAGES ? found.language : "en") as Language;
  const [ready, set] = useState(false);
  useEffect(() => void load(spoken).then(() => set(true)), [spoken]);
  const foot = (
    <a class="primary" href={to("")}>
      {say("app.done.next")}
    </a>
  );
  if (!found?.given) {
    return (
      <Screen title={say("app.drafts.title")} foot={foot}>
        <Nothing words={say("app.sheet.again")} />
      </Screen>
    );
  }
  const { given, taken_back: back } = found;
  return (
    <Screen title={say(back ? "app.done.taken_back" : "app.done.title")} back={to("")} foot={foot}>
      {ready && !back && <Ticket given={given} spoken={spoken} />}
      {given.information && !back && <Rights words={given.information} />}
      {!back && given.reachable !== null && <p class="lead">{say(given.reachable ? "app.done.written" : "app.done.not_written")}</p>}
      <Left given={given} />
      {given.explain_by && !back && <Explain given={given} />}
      {!back && <TakeBack id={given.check_id} />}
    </Screen>
  );
}

/** The guest sees this half of the screen. */
function Ticket({ given, spoken }: { given: Given; spoken: Language }) {
  const [shown, show] = useState<"page" | "till">("page");
  const until = moment(given.valid_until, site.value?.timezone, spoken);
  return (
    <section class="ticket" lang={spoken}>
      <p class="what">{given.title}</p>
      {worth(given, spoken) && <p class="worth">{worth(given, spoken)}</p>}
      <Qr text={shown === "page" ? given.link : given.code} label={sayIn(spoken, shown === "page" ? "app.done.scan" : "app.done.till")} />
      <p>{sayIn(spoken, shown === "page" ? "app.done.scan" : "app.done.till")}</p>
      <p class="code">{given.code}</p>
      <p>{sayIn(spoken, "app.done.until", { time: until })}</p>
      <Choices
        legend={sayIn(spoken, "app.done.show")}
        options={[
          { value: "page", title: sayIn(spoken, "app.done.for_guest") },
          { value: "till", title: sayIn(spoken, "app.done.for_till") },
        ]}
        value={shown}
        pick={show}
      />
    </section>
  );
}

function Left({ given }: { given: Given }) {
  const mine = tightest(given.left);
  return mine ? <p class="lead">{say("app.done.left", { amount: money(mine.left_minor, given.currency) })}</p> : null;
}

function Explain({ given }: { given: Given }) {
  const [line, write_line] = useState("");
  const [said, set] = useState(false);
  if (said) return <p class="lead">{say("app.done.explained")}</p>;
  const send = (): Promise<unknown> =>
    tap("compensation", `checks/${given.check_id}/explain`, { explanation: line }, language.value);
  return (
    <details class="strip">
      <summary>{say("app.done.explain", { time: moment(given.explain_by ?? "", site.value?.timezone) })}</summary>
      <div class="field">
        <label for="line">{say("app.done.line")}</label>
        <input id="line" maxLength={500} value={line} onInput={(event) => write_line(event.currentTarget.value)} />
      </div>
      <button type="button" class="plain" disabled={!line} onClick={() => void done(send).then(set)}>
        {say("app.send")}
      </button>
    </details>
  );
}

/** Two taps: the second one names what happens. */
export function TakeBack({ id, taken }: { id: string; taken?: () => void }) {
  const [sure, ask] = useState(false);
  const take_back = async (): Promise<void> => {
    if (!(await done(() => tap("compensation", `checks/${id}/void`, {}, language.value)))) return;
    await took_back([id]);
    taken?.();
  };
  if (!sure) {
    return (
      <button type="button" class="quiet-button" onClick={() => ask(true)}>
        {say("app.done.take_back")}
      </button>
    );
  }
  return (
    <button type="button" class="plain danger" onClick={() => void take_back()}>
      {say("app.done.take_back_sure")}
    </button>
  );
}
