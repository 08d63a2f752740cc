/** WHAT: the best option first, which is the second tap; then the next ones, and what bears on the choice. */
import { useEffect, useState } from "preact/hooks";
import { type Category, type Offered, type Option, type Options, tap } from "../api";
import { done, hear_choices, online, site } from "../desk";
import { ask_options, asked, booking, valid_s } from "../gift";
import { Icon } from "../icons";
import { Nothing, Rights, Rows, Screen } from "../parts";
import { Qr } from "../qr";
import { to } from "../route";
import { language, length, moment, say, worth } from "../words";

/** How many a guest may choose between. */
const CHOOSE_MIN = 2;
const CHOOSE_MAX = 3;
/** How many stand here at first, the best with them: no guest waits for a longer list. */
const SHOWN = 5;

export function What({ reason, complaint }: { reason: string; complaint: string }) {
  useEffect(() => void ask_options(reason, complaint), [reason, complaint, booking.value]);
  const [chosen, choose] = useState<string[] | null>(null);
  const [offer, made] = useState<Offered | null>(null);
  const found = asked.value?.found;
  const back = complaint ? to("case", complaint) : to("");
  if (offer) return <Made offer={offer} back={back} />;
  const foot = chosen && (
    <button type="button" class="primary" disabled={chosen.length < CHOOSE_MIN} onClick={() => void let_choose(reason, complaint, chosen, made)}>
      {say("app.what.let_choose", { count: chosen.length })}
    </button>
  );
  return (
    <Screen title={say(`category.${reason}`)} back={back} lead={say(chosen ? "app.what.pick" : "app.what.lead")} foot={foot}>
      {!found && online.value && <p class="lead" role="status">{say("app.loading")}</p>}
      {!found && !online.value && <Nothing words={say("app.offline_unknown")} />}
      {found && <Incident found={found} reason={reason} complaint={complaint} />}
      {found && <List found={found} reason={reason} complaint={complaint} chosen={chosen} choose={choose} />}
      {found && complaint && !chosen && found.options.length >= CHOOSE_MIN && online.value && (
        <button type="button" class="plain" onClick={() => choose([])}>
          {say("app.what.let_them")}
        </button>
      )}
      {found && <Bearing found={found} />}
    </Screen>
  );
}

function Incident({ found, reason, complaint }: { found: Options; reason: string; complaint: string }) {
  if (!found.incident || !complaint) return null;
  const { option, incident_id } = found.incident;
  return (
    <a class="best" href={to("sheet", reason, option.item, complaint, incident_id)}>
      <small>{say("app.what.incident")}</small>
      <b>{option.title}</b>
      <span>{worth(option)}</span>
    </a>
  );
}

function List(props: {
  found: Options;
  reason: string;
  complaint: string;
  chosen: string[] | null;
  choose: (items: string[]) => void;
}) {
  const { chosen } = props;
  if (chosen) {
    const toggle = (item: string): void =>
      props.choose(chosen.includes(item) ? chosen.filter((one) => one !== item) : [...chosen, item].slice(-CHOOSE_MAX));
    return (
      <div class="rows">
        {props.found.options.map((one) => (
          <label key={one.item} class="row">
            <input type="checkbox" checked={chosen.includes(one.item)} onChange={() => toggle(one.item)} />
            <Said option={one} />
          </label>
        ))}
      </div>
    );
  }
  const [best, ...rest] = props.found.options;
  if (!best) return <Nothing words={say("app.what.none")} />;
  const path = (one: Option): string => to("sheet", props.reason, one.item, ...(props.complaint ? [props.complaint] : []));
  return (
    <>
      <a class="best" href={path(best)}>
        <small>{say("app.what.best")}</small>
        <b>{best.title}</b>
        <span>{worth(best)}</span>
        <Valid item={best.item} />
        <Icon name="next" />
      </a>
      <Rows
        key={rest.length}
        first={SHOWN - 1}
        of={rest.map((one) => (
          <a key={one.item} class="row" href={path(one)}>
            <Said option={one} />
            <Icon name="next" />
          </a>
        ))}
      />
    </>
  );
}

function Said({ option }: { option: Option }) {
  return (
    <span>
      <b>{option.title}</b>
      <small>{worth(option) || say("app.what.words")}</small>
    </span>
  );
}

function Valid({ item }: { item: string }) {
  const seconds = valid_s(item);
  return seconds ? <span class="quiet">{say("app.what.valid", { length: length(seconds) })}</span> : null;
}

/** What the guest had before, and what the law gives them. */
function Bearing({ found }: { found: Options }) {
  return (
    <>
      {found.information && <Rights words={found.information} open />}
      {found.history.length > 0 && (
        <>
          <h2>{say("app.what.before")}</h2>
          <ul class="facts">
            {found.history.map((one) => (
              <li key={one.check_id ?? one.offer_id}>
                <span>{one.title}</span>
                <span>{moment(one.issued_at, site.value?.timezone)}</span>
              </li>
            ))}
          </ul>
        </>
      )}
    </>
  );
}

async function let_choose(reason: string, complaint: string, items: string[], made: (offer: Offered) => void): Promise<void> {
  const body = { complaint_id: complaint, items, reason: reason as Category };
  if (await done(async () => made(await tap<Offered>("compensation", "offers", body, language.value)))) void hear_choices();
}

/** The page on which the guest chooses, as a code for their phone. */
function Made({ offer, back }: { offer: Offered; back: string }) {
  return (
    <Screen title={say("app.offer.title")} back={back} lead={say("app.offer.lead")}>
      <div class="ticket">
        <Qr text={offer.link} label={say("app.done.scan")} />
        <ul class="facts">
          {offer.options.map((one) => (
            <li key={one.item}>
              <span>{one.title}</span>
              <span>{worth(one)}</span>
            </li>
          ))}
        </ul>
        <p>{say("app.offer.until", { time: moment(offer.expires_at, site.value?.timezone) })}</p>
      </div>
    </Screen>
  );
}
