/** REDEEM: a till holds a check by its code, takes what the bill says, and can put it back. */
import { useState } from "preact/hooks";
import { type Captured, type Held, tap } from "../api";
import { done, notice, refusal, site } from "../desk";
import { Screen } from "../parts";
import { to } from "../route";
import { Scan } from "../scan";
import { language, money, say } from "../words";

/** Minor units in one of the major unit, as the till's keys have it; the site's currencies all have two decimals. */
const MINOR = 100;

/** "12,50" as 1250; undefined for an empty field, which is all that is left, and NaN for what is no amount. */
function minor(typed: string): number | undefined {
  const plain = typed.replace(/\s/g, "").replace(",", ".");
  if (!plain) return undefined;
  return /^\d+(\.\d{1,2})?$/.test(plain) ? Math.round(Number(plain) * MINOR) : Number.NaN;
}

export function Redeem() {
  const [code, type] = useState("");
  const [amount, type_amount] = useState("");
  const [held, hold] = useState<Held | null>(null);
  const [taken, take] = useState<Captured | null>(null);
  const currency = site.value?.currency ?? "NOK";
  const step = async <T,>(path: string, body: unknown, then: (answer: T) => void): Promise<void> => {
    const work = async (): Promise<void> => then(await tap<T>("compensation", path, body, language.value));
    if (await done(work, refusal)) notice.value = "";
  };
  const again = (): void => {
    hold(null);
    take(null);
    type("");
    type_amount("");
  };
  if (taken) {
    return (
      <Screen title={say("app.redeem.taken")} back={to("me")} lead={taken.title ?? ""} foot={<button type="button" class="primary" onClick={again}>{say("app.redeem.next")}</button>}>
        <p class="figure">{money(taken.amount_minor, taken.currency)}</p>
        <button type="button" class="quiet-button" onClick={() => void step(`redemptions/${taken.redemption_id}/rollback`, {}, again)}>
          {say("app.redeem.put_back")}
        </button>
      </Screen>
    );
  }
  if (held) {
    const most = minor(amount);
    const body = most === undefined ? {} : { amount_minor: most };
    return (
      <Screen
        title={held.title ?? say("app.redeem.title")}
        back={to("me")}
        foot={<button type="button" class="primary" disabled={Number.isNaN(most)} onClick={() => void step<Captured>(`redemptions/${held.redemption_id}/capture`, body, take)}>{say("app.redeem.take")}</button>}
      >
        <p class="figure">{money(held.amount_minor, held.currency)}</p>
        <p class="lead">{say("app.redeem.held")}</p>
        <Amount value={amount} type={type_amount} currency={currency} />
        <button type="button" class="quiet-button" onClick={() => void step(`redemptions/${held.redemption_id}/cancel`, {}, again)}>
          {say("app.cancel")}
        </button>
      </Screen>
    );
  }
  const asked = minor(amount);
  const reserve = (): void => void step<Held>("redemptions", { code, ...(asked === undefined ? {} : { amount_minor: asked }) }, hold);
  return (
    <Screen
      title={say("app.redeem.title")}
      back={to("me")}
      lead={say("app.redeem.lead")}
      foot={<button type="button" class="primary" disabled={!code || Number.isNaN(asked)} onClick={reserve}>{say("app.redeem.hold")}</button>}
    >
      <div class="field scan">
        <label for="code">{say("app.redeem.code")}</label>
        <div>
          <input id="code" value={code} autocomplete="off" autocapitalize="characters" maxLength={64} onInput={(event) => type(event.currentTarget.value)} />
          <Scan found={type} />
        </div>
      </div>
      <Amount value={amount} type={type_amount} currency={currency} />
    </Screen>
  );
}

function Amount({ value, type, currency }: { value: string; type: (text: string) => void; currency: string }) {
  return (
    <div class="field">
      <label for="amount">{say("app.redeem.amount", { currency })}</label>
      <input id="amount" inputMode="decimal" aria-invalid={Number.isNaN(minor(value))} value={value} placeholder={say("app.redeem.all")} onInput={(event) => type(event.currentTarget.value)} />
    </div>
  );
}
