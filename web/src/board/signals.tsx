/** SIGNALS: what on the record somebody should look at. Whoever looks at a person says first what for, and they see it. */
import { useState } from "preact/hooks";
import { Away, type Board, read, Refused, type Seen, type Signal, type Signals as Listed, tap } from "../api";
import { day, language, money, moment, say } from "../words";
import { wait } from "./figures";
import { useHeard } from "./measures";
import { Card, CategoryIcon, Nothing } from "./parts";

const HOUR_S = 3_600;
const DISMISSALS = ["explained", "usual_here", "limit_too_low", "followed_up", "wrong_data"] as const;
/** As the service takes a purpose: a line of at least three characters, without an address. */
const PURPOSE = "[^@]{3,200}";

export function Signals({ board }: { board: Board }) {
  const heard = useHeard(() => read<Listed>("audit", `signals?site=${encodeURIComponent(board.site)}`, language.value), board.site);
  if (!heard) return <Nothing words={say("board.trouble.loading")} />;
  return (
    <>
      <p class="lead">{say("board.signals.lead")}</p>
      {heard.signals.length === 0 && <Nothing words={say("board.signals.none")} />}
      {heard.signals.map((one) => (
        <One key={one.signal_id} of={one} zone={board.timezone} />
      ))}
    </>
  );
}

/** Who it is about, by the end of their pseudonym: enough to tell two apart, and nobody's name. */
const short = (person: string): string => say("board.signals.person", { code: person.slice(-4) });

function sentence(of: Signal): string {
  const amounts = Object.entries(of.numbers)
    .filter(([name]) => name.endsWith("_minor") && of.currency)
    .map(([name, minor]) => [name.replace(/_minor$/, ""), money(minor, of.currency as string)]);
  const time = of.numbers.hours ? wait(of.numbers.hours * HOUR_S) : say("board.signals.under_an_hour");
  return say(`board.signals.says.${of.signal}`, { ...of.numbers, ...Object.fromEntries(amounts), time, person: short(of.persons[0] ?? "") });
}

function One({ of, zone }: { of: Signal; zone: string }) {
  const [dismissed, dismiss] = useState<string | null>(of.dismissed_for);
  const [failed, fail] = useState(false);
  const path = `signals/${encodeURIComponent(of.signal_id)}`;
  const done = async (reason: string): Promise<void> => {
    const went = await well(async () => void (await tap("audit", `${path}/dismissal`, { reason }, language.value)));
    fail(!went);
    if (went) dismiss(reason);
  };
  return (
    <Card title={say(`board.signals.kind.${of.signal}`)} lead={moment(of.raised_at, zone)}>
      <p>{sentence(of)}</p>
      {dismissed ? (
        <p class="quiet">{say(`board.signals.dismissed.${dismissed}`)}</p>
      ) : (
        <>
          {of.persons.map((person) => (
            <Look key={person} path={path} person={person} />
          ))}
          <fieldset class="choices">
            <legend>{say("board.signals.dismiss")}</legend>
            <div>
              {DISMISSALS.map((reason) => (
                <button key={reason} type="button" class="small" onClick={() => void done(reason)}>
                  {say(`board.signals.dismissed.${reason}`)}
                </button>
              ))}
            </div>
          </fieldset>
        </>
      )}
      {failed && <p class="failed">{say("board.failed")}</p>}
    </Card>
  );
}

/** Whether the service did what was asked; being away or refused is told, and everything else is loud. */
async function well(asking: () => Promise<void>): Promise<boolean> {
  try {
    await asking();
    return true;
  } catch (fault) {
    if (fault instanceof Away || fault instanceof Refused) return false;
    throw fault;
  }
}

/** Purpose first; then what they gave in the month. */
function Look({ path, person }: { path: string; person: string }) {
  const [purpose, write] = useState("");
  const [seen, see] = useState<Seen | null>(null);
  const [failed, fail] = useState(false);
  const look = async (): Promise<void> => {
    const command = { person, purpose: purpose.trim() };
    fail(!(await well(async () => see(await tap<Seen>("audit", `${path}/look`, command, language.value)))));
  };
  if (seen) {
    return (
      <section class="list">
        <h3>{say("board.signals.gave", { who: short(person), month: seen.month })}</h3>
        {seen.checks.length === 0 && <Nothing words={say("board.signals.gave_nothing")} />}
        <ul class="plain-list">
          {seen.checks.map((one) => (
            <li key={one.check_id}>
              <CategoryIcon of={one.reason} />
              <span>
                <b>{say(`category.${one.reason}`)}</b>
                <small>
                  {day(one.day)} · {say(`board.severity.${one.severity}`)}
                  {one.stretched && ` · ${say("board.signals.stretched")}`}
                </small>
              </span>
              <b>{money(one.value_minor, one.currency)}</b>
            </li>
          ))}
        </ul>
      </section>
    );
  }
  return (
    <form
      class="field look"
      onSubmit={(event) => {
        event.preventDefault();
        void look();
      }}
    >
      <label for={`${path} ${person}`}>{say("board.signals.purpose", { who: short(person) })}</label>
      <div>
        <input
          id={`${path} ${person}`}
          required
          minLength={3}
          maxLength={200}
          pattern={PURPOSE}
          autocomplete="off"
          value={purpose}
          onInput={(event) => write(event.currentTarget.value)}
        />
        <button type="submit" class="small">
          {say("board.signals.look")}
        </button>
      </div>
      <small>{say("board.signals.they_see")}</small>
      {failed && <p class="failed">{say("board.failed")}</p>}
    </form>
  );
}
