/** WORTH: what recovery brings beside what it costs, with every assumption in view and in the reader's hand. */
import { useRef, useState } from "preact/hooks";
import type { Board, Measure } from "../api";
import { money, say } from "../words";
import { absence_of, number, percent, value_of } from "./figures";
import { day_before, hear_measures, useHeard } from "./measures";
import { Card, Tile } from "./parts";

/** The same days as on the board: four weeks that are over. */
const DAYS = 28;
const NAMES = ["recovery_roi", "complaints", "cost_given", "helped_rate", "customers_returned"] as const;
/** How long a slider rests before the service is asked. */
const REST_MS = 250;
/** Where a slider ends: as many times its first value; of a part, at a hundred. */
const TIMES = 5;

export function Worth({ board }: { board: Board }) {
  const [moved, move] = useState(board.assumptions);
  const [assumed, assume] = useState(board.assumptions);
  const resting = useRef(0);
  const asked = { site: board.site, names: NAMES, from: day_before(DAYS), to: day_before(1), assumed };
  const heard = useHeard(() => hear_measures(asked), JSON.stringify(asked));
  const found = heard && [...heard.leading, ...heard.lagging];
  const slide = (name: string, value: number): void => {
    const next = { ...moved, [name]: value };
    move(next);
    clearTimeout(resting.current);
    resting.current = window.setTimeout(() => assume(next), REST_MS);
  };
  const shown = (name: string, value: number): string =>
    name.endsWith("_percent") ? percent(value) : money(value, board.currency);
  return (
    <div class="columns">
      <div>
        <Roi of={found?.find((one) => one.measure === "recovery_roi")} zone={board.timezone} />
        <Card title={say("board.worth.assumed")} lead={say("board.worth.assumed_lead")}>
          {Object.entries(moved).map(([name, value]) => {
            const most = name.endsWith("_percent") ? 100 : TIMES * (board.assumptions[name] ?? 1);
            return (
              <div class="slider" key={name}>
                <label for={name}>
                  <span>{say(`board.worth.${name}`)}</span> <output>{shown(name, value)}</output>
                </label>
                <input
                  id={name}
                  type="range"
                  min={0}
                  max={most}
                  step={most / 100}
                  value={value}
                  aria-valuetext={shown(name, value)}
                  onInput={(event) => slide(name, Math.round(event.currentTarget.valueAsNumber))}
                />
                <small>{say(`board.worth.${name}_from`)}</small>
              </div>
            );
          })}
        </Card>
      </div>
      <div>
        <Card title={say("board.worth.counted")} lead={say("board.worth.counted_lead", { days: DAYS })}>
          {found && <Counted of={found} />}
        </Card>
        <Card title={say("board.worth.formula")}>
          <p>{say("board.worth.gained")}</p>
          <p>{say("board.worth.spent")}</p>
          <p>{say("board.worth.roi")}</p>
        </Card>
      </div>
    </div>
  );
}

function Roi({ of, zone }: { of: Measure | undefined; zone: string }) {
  return <Tile title={say("board.worth.title")} value={value_of(of, "–")} lead={of?.absent ? absence_of(of, zone) : say("board.worth.lead")} />;
}

/** What of the formula was counted. */
function Counted({ of }: { of: Measure[] }) {
  const by = (name: string): Measure | undefined => of.find((one) => one.measure === name && one.part === "");
  const helped = by("helped_rate");
  const yes = helped?.value ? Math.round((helped.counted * helped.value) / 100) : 0;
  const lines = [
    [say("board.measure.complaints"), number(by("complaints")?.value ?? 0)],
    [say("board.worth.yes"), number(yes)],
    [say("board.worth.returned"), number(by("customers_returned")?.value ?? 0)],
    [say("board.worth.cost"), value_of(by("cost_given"), "0")],
  ] as const;
  return (
    <dl class="figures">
      {lines.map(([title, value]) => (
        <div key={title}>
          <dt>{title}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
