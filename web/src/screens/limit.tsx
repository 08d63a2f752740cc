/** LIMIT: what fits now, one tap each, and who on shift can give what was wished. */
import { useState } from "preact/hooks";
import { type Category, type Option, Refused, type Wish, tap } from "../api";
import { done, me, refusal } from "../desk";
import { drafts } from "../drafts/giving";
import type { Draft } from "../drafts/rules";
import { give_and_show, title_here } from "../gift";
import { Icon } from "../icons";
import { Nothing, Screen } from "../parts";
import { to } from "../route";
import { language, say, worth } from "../words";

/** Refusals after which the employee may say that it is meant so, and what the wish says then. */
const MEANT: Record<string, { again: true } | { consent: true }> = {
  already_compensated: { again: true },
  consent_required: { consent: true },
};

export function Limit({ draft }: { draft: string }) {
  const found = drafts.value.find((one) => one.key === draft);
  if (found?.refused) return <Refusal draft={found} type={found.refused.type} />;
  if (!found?.unfit) {
    return (
      <Screen title={say("app.limit.title")} back={to("")}>
        <Nothing words={say("app.sheet.again")} />
      </Screen>
    );
  }
  return <Fits draft={found} />;
}

function Fits({ draft }: { draft: Draft }) {
  const [sending, send] = useState(false);
  const { unfit } = draft;
  if (!unfit) return null;
  const give = (option: Option): void => {
    send(true);
    void give_and_show(instead(draft.wish, option, unfit.complaint_id), { title: option.title, worth: worth(option) }, draft.language);
  };
  return (
    <Screen title={say("app.limit.title")} back={to("")} lead={say("app.limit.lead", { title: draft.title, scope: say(`app.scope.${unfit.bound_by}`).toLowerCase() })}>
      {unfit.alternatives.length === 0 && <Nothing words={say("app.limit.none")} />}
      <div class="rows">
        {unfit.alternatives.map((one) => (
          <button key={one.item} type="button" class="row" disabled={sending} onClick={() => give(one)}>
            <span>
              <b>{title_here(one)}</b>
              <small>{worth(one) || say("app.what.words")}</small>
            </span>
            <Icon name="gift" />
          </button>
        ))}
      </div>
      {unfit.colleague_id && unfit.complaint_id && <Colleague id={unfit.colleague_id} complaint={unfit.complaint_id} title={draft.title} />}
      {unfit.complaint_id && (
        <a class="plain" href={to("case", unfit.complaint_id)}>
          {say("app.limit.case")}
        </a>
      )}
    </Screen>
  );
}

/** The same wish with what fits, for the complaint that the first one recorded. */
function instead(wish: Wish, option: Option, complaint: string | null): Wish {
  const base = { item: option.item, reason: wish.reason as Category, currency: option.currency };
  if (complaint) return { ...base, complaint_id: complaint };
  return "on_the_spot" in wish ? { ...base, on_the_spot: wish.on_the_spot } : { ...base, complaint_id: wish.complaint_id };
}

/** Only an owner hands over; what was told on the spot is mine already. */
async function own(complaint: string): Promise<void> {
  try {
    await tap("complaints", `complaints/${complaint}/claim`, {}, language.value);
  } catch (fault) {
    const mine = fault instanceof Refused && fault.problem.employee_id === me.value?.employee_id;
    if (!mine) throw fault;
  }
}

function Colleague({ id, complaint, title }: { id: string; complaint: string; title: string }) {
  const [asked, ask] = useState(false);
  const hand_over = async (): Promise<void> => {
    await own(complaint);
    await tap("complaints", `complaints/${complaint}/handover`, { colleague_id: id }, language.value);
    ask(true);
  };
  return (
    <>
      <h2>{say("app.limit.colleague")}</h2>
      <div class="row still">
        <span>
          <b>{id}</b>
          <small>{say("app.limit.can", { title })}</small>
        </span>
        <button type="button" class="small" disabled={asked} onClick={() => void done(hand_over)}>
          {say(asked ? "app.limit.asked" : "app.limit.ask")}
        </button>
      </div>
    </>
  );
}

function Refusal({ draft, type }: { draft: Draft; type: string }) {
  const [sending, send] = useState(false);
  const meant = MEANT[type];
  const give = (): void => {
    send(true);
    void give_and_show({ ...draft.wish, ...meant }, { title: draft.title, worth: "" }, draft.language);
  };
  return (
    <Screen title={draft.title} back={to("")} lead={refusal(type)}>
      {meant && (
        <button type="button" class="primary" disabled={sending} onClick={give}>
          {say(`app.meant.${type}`)}
        </button>
      )}
      <a class="plain" href={to("")}>
        {say("app.limit.other")}
      </a>
    </Screen>
  );
}
