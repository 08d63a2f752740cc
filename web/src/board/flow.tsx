/** FLOW: complaints and gifts by the hour, beside a usual hour. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Board } from "../api";
import { say } from "../words";
import { clock, number } from "./figures";
import { now } from "./live";
import { day_before, hear_measures, useHeard } from "./measures";
import { Card, Nothing } from "./parts";

/** So that one day has the other beside it; on a phone, where their bars would be hairs, one day. */
const HOURS = 48;
const ON_A_PHONE = 24;
const phone = matchMedia("(max-width: 40rem)");
const HOUR_MS = 3_600_000;
/** What is usual is the average of four weeks, as on the rest of the board. */
const USUAL_DAYS = 28;
const NAMES = ["complaints_by_hour", "checks_by_hour"] as const;

export type Hour = { at: number; complaints: number; checks: number; usual: number };

export function Flow({ board }: { board: Board }) {
  const { site } = board;
  const hour = Math.floor(now.value / HOUR_MS);
  const heard = useHeard(() => hear_hours(site), `${site} ${hour}`);
  const [narrow, fits] = useState(phone.matches);
  useEffect(() => {
    const changed = (): void => fits(phone.matches);
    phone.addEventListener("change", changed);
    return () => phone.removeEventListener("change", changed);
  }, []);
  const hours = useMemo(() => heard && heard.slice(narrow ? -ON_A_PHONE : 0), [heard, narrow]);
  if (!hours) return <Nothing words={say("board.trouble.loading")} />;
  return (
    <Card title={say("board.flow.title")} lead={say("board.flow.lead", { hours: hours.length })}>
      <Chart hours={hours} zone={board.timezone} />
      <details class="table">
        <summary>{say("board.flow.table")}</summary>
        <table class="plain-table">
          <thead>
            <tr>
              <th scope="col">{say("board.flow.hour")}</th>
              <th scope="col">{say("board.flow.complaints")}</th>
              <th scope="col">{say("board.flow.checks")}</th>
              <th scope="col">{say("board.flow.usual")}</th>
            </tr>
          </thead>
          <tbody>
            {hours.toReversed().map((one) => (
              <tr key={one.at}>
                <th scope="row">{clock(one.at, board.timezone)}</th>
                <td>{number(one.complaints)}</td>
                <td>{number(one.checks)}</td>
                <td>{number(one.usual, 1)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </details>
    </Card>
  );
}

/** The last hours, each by its own day (UTC), and what is usual at that time of the day. */
async function hear_hours(site: string): Promise<Hour[]> {
  const end = Math.floor(now.peek() / HOUR_MS) * HOUR_MS;
  const days = [0, 1, 2].map(day_before);
  const [usual, ...found] = await Promise.all([
    hear_measures({ site, names: NAMES, from: day_before(USUAL_DAYS), to: day_before(1) }),
    ...days.map((day) => hear_measures({ site, names: NAMES, from: day, to: day })),
  ]);
  const counted = (of: typeof usual | undefined, measure: string, hour: string): number =>
    of?.leading.find((one) => one.measure === measure && one.part === hour)?.value ?? 0;
  return Array.from({ length: HOURS }, (_, index) => {
    const at = end - (HOURS - 1 - index) * HOUR_MS;
    const [day = "", hour = ""] = new Date(at).toISOString().slice(0, 13).split("T");
    const own = found[days.indexOf(day)];
    return {
      at,
      complaints: counted(own, "complaints_by_hour", hour),
      checks: counted(own, "checks_by_hour", hour),
      usual: counted(usual, "complaints_by_hour", hour) / USUAL_DAYS,
    };
  });
}

/** The drawing; the table below it says the same in numbers. */
function Chart({ hours, zone }: { hours: Hour[]; zone: string }) {
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    let end = (): void => undefined;
    let gone = false;
    // The drawing of charts is loaded by who looks at one.
    void import("./chart").then(({ draw }) => {
      if (!gone && place.current) end = draw(place.current, hours, zone);
    });
    return () => {
      gone = true;
      end();
    };
  }, [hours, zone]);
  return <div class="chart" ref={place} role="img" aria-label={say("board.flow.title")} />;
}
