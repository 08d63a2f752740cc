/** DRAFTS: what waits for the network, what is asked for once more, and what became of the others. */
import { useEffect } from "preact/hooks";
import { site } from "../desk";
import { confirm, drafts, drop, hear_taken_back, replay, sealed } from "../drafts/giving";
import { type Draft, standing } from "../drafts/rules";
import { Nothing, Screen } from "../parts";
import { go, to } from "../route";
import { moment, say } from "../words";

export function Drafts() {
  const now = Date.now();
  useEffect(() => void hear_taken_back(), []);
  return (
    <Screen title={say("app.drafts.title")} back={to("")} lead={say("app.drafts.lead")}>
      {sealed.value > 0 && <p class="notice">{say("app.drafts.sealed", { count: sealed.value })}</p>}
      {drafts.value.length + sealed.value === 0 && <Nothing words={say("app.drafts.none")} />}
      <div class="rows">
        {drafts.value.map((one) => (
          <One key={one.key} draft={one} now={now} />
        ))}
      </div>
    </Screen>
  );
}

function One({ draft, now }: { draft: Draft; now: number }) {
  const stands = standing(draft, now);
  const sent = async (): Promise<void> => {
    const after = await confirm(draft);
    if (after.given) go("done", after.key);
    else if (after.unfit || after.refused) go("limit", after.key);
  };
  return (
    <article class={`row still ${stands}`}>
      <span>
        <b>{draft.title}</b>
        <small>{[draft.worth, moment(draft.made, site.value?.timezone)].filter(Boolean).join(" · ")}</small>
        <small class="stands">{say(`app.draft.${stands}`)}</small>
      </span>
      <span class="buttons">
        {stands === "given" && <a class="small" href={to("done", draft.key)}>{say("app.drafts.show")}</a>}
        {(stands === "unfit" || stands === "refused") && <a class="small" href={to("limit", draft.key)}>{say("app.drafts.fits")}</a>}
        {stands === "asking" && <button type="button" class="small" onClick={() => void sent()}>{say("app.drafts.still")}</button>}
        {stands === "waiting" && <button type="button" class="small" onClick={() => void replay()}>{say("app.drafts.now")}</button>}
        {stands !== "given" && stands !== "taken_back" && (
          <button type="button" class="quiet-button" onClick={() => void drop(draft)}>
            {say("app.drafts.drop")}
          </button>
        )}
      </span>
    </article>
  );
}
