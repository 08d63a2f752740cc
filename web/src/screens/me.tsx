/** ME: what I may give in each window, what I gave today, my shift, my language, and the way out. */
import { useEffect, useState } from "preact/hooks";
import { type Check, read, sign_out, tap } from "../api";
import { authority, done, heard, hear_authority, me, notice, refresh, site } from "../desk";
import { lost_by_leaving } from "../drafts/giving";
import { Icon } from "../icons";
import { Choices, Nothing, Screen } from "../parts";
import { to } from "../route";
import { LANGUAGES, language, type Language, moment, money, say, speak, worth } from "../words";
import { TakeBack } from "./done";

/** How long a shift is that is begun here, in hours. */
const SHIFT_HOURS = 8;

export function Me() {
  useEffect(() => void hear_authority(), []);
  return (
    <Screen title={say("app.me.title")} lead={me.value ? `${me.value.employee_id} · ${me.value.role}` : ""}>
      <Windows />
      <Kept />
      <Shift />
      <Today />
      <div class="rows">
        <a class="row" href={to("redeem")}>
          <Icon name="till" />
          <span><b>{say("app.redeem.title")}</b></span>
          <Icon name="next" />
        </a>
        <a class="row" href={to("drafts")}>
          <Icon name="away" />
          <span><b>{say("app.drafts.title")}</b></span>
          <Icon name="next" />
        </a>
      </div>
      <Choices
        legend={say("app.me.language")}
        options={Object.entries(LANGUAGES).map(([value, title]) => ({ value: value as Language, title }))}
        value={language.value}
        pick={(one) => void speak(one).then(refresh)}
      />
      <SignOut />
    </Screen>
  );
}

function Windows() {
  const currency = site.value?.currency ?? "NOK";
  const scopes = authority.value?.scopes.filter((one) => one.ceiling_minor > 0) ?? [];
  return (
    <div class="windows">
      {scopes.map((one) => {
        const amount = (minor: number): string => (one.scope === "stretch" ? String(minor) : money(minor, currency));
        const name = say(`app.scope.${one.scope}`);
        return (
          <div key={one.scope} class="left">
            <p>
              {name} <b>{say("app.me.of", { left: amount(one.left_minor), ceiling: amount(one.ceiling_minor) })}</b>
            </p>
            <progress max={one.ceiling_minor} value={one.left_minor} aria-label={name} />
          </div>
        );
      })}
    </div>
  );
}

/** What my gifts cost beside what they are for: the second number is an assumption, and says so. */
function Kept() {
  const { currency = "", kept_customer_minor: kept } = site.value ?? {};
  const mine = authority.value?.scopes.find((one) => one.scope === "employee_day");
  if (!kept || !mine) return null;
  return (
    <ul class="facts">
      <li>
        <span>{say("app.me.cost")}</span>
        <span>{money(mine.used_minor, currency)}</span>
      </li>
      <li>
        <span>{say("app.me.kept")}</span>
        <span>{money(kept, currency)}</span>
      </li>
    </ul>
  );
}

function Shift() {
  const on = me.value?.on_shift ?? false;
  const change = async (): Promise<void> => {
    await done(() => tap("compensation", on ? "me/shift/end" : "me/shift", on ? {} : { hours: SHIFT_HOURS }, language.value));
    await refresh();
  };
  return (
    <div class="row still">
      <span>
        <b>{say(on ? "app.me.on_shift" : "app.me.off_shift")}</b>
        {me.value?.checked_in_until && <small>{say("app.me.until", { time: moment(me.value.checked_in_until, site.value?.timezone) })}</small>}
      </span>
      <button type="button" class="small" onClick={() => void change()}>
        {say(on ? "app.me.end_shift" : "app.me.begin_shift")}
      </button>
    </div>
  );
}

function Today() {
  const [checks, set] = useState<Check[] | null>(null);
  const look = (): void => void heard(async () => set((await read<{ checks: Check[] }>("compensation", "checks", language.value)).checks));
  useEffect(look, []);
  if (!checks) return null;
  return (
    <>
      <h2>{say("app.me.today")}</h2>
      {checks.length === 0 && <Nothing words={say("app.me.none_today")} />}
      <div class="rows">
        {checks.map((one) => (
          <details key={one.check_id} class="row still folded">
            <summary>
              <span>
                <b>{one.title}</b>
                <small>{[worth(one), moment(one.issued_at, site.value?.timezone), say(`app.check.${one.state}`)].filter(Boolean).join(" · ")}</small>
                {one.praised_at && <small class="good">{say("app.me.good_call")}</small>}
              </span>
            </summary>
            {one.state === "issued" && <TakeBack id={one.check_id} taken={look} />}
            {one.complaint_id && <a class="plain" href={to("case", one.complaint_id)}>{say("app.limit.case")}</a>}
          </details>
        ))}
      </div>
    </>
  );
}

/** A sign-out clears the device, so what waits there of anybody is said first. */
function SignOut() {
  const [sure, ask] = useState(false);
  const count = lost_by_leaving();
  const leave = async (): Promise<void> => {
    if (count && !sure) return ask(true);
    const next = await sign_out();
    if (!next) {
      notice.value = say("app.away");
      return;
    }
    localStorage.clear();
    location.assign(next);
  };
  return (
    <button type="button" class={sure ? "plain danger" : "quiet-button"} onClick={() => void leave()}>
      {sure ? say("app.me.sign_out_loses", { count }) : say("app.me.sign_out")}
    </button>
  );
}
