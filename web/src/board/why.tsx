/** WHY: what goes wrong and where on the journey, what makes it so, and whether authority is too little used or too small. */
import type { Board, Causes } from "../api";
import { read } from "../api";
import { language, say } from "../words";
import { number } from "./figures";
import { day_before, hear_measures, useHeard } from "./measures";
import { Card, Figures, Nothing } from "./parts";

/** Four of each weekday, as a board's usual day is counted. */
const DAYS = 28;
const STEPS = ["booking", "check_in", "journey", "room", "dining", "activity", "payment", "afterwards", "unknown"];
/** Shades of the table; the number in the cell says the same. */
const SHADES = 4;

export function Why({ board }: { board: Board }) {
  return (
    <>
      <Where board={board} />
      <div class="halves">
        <Card title={say("board.why.under")} lead={say("board.why.under_lead")}>
          <Figures of={board.under_use} zone={board.timezone} />
        </Card>
        <Card title={say("board.why.over")} lead={say("board.why.over_lead")}>
          <Figures of={board.over_use} zone={board.timezone} />
        </Card>
      </div>
      <div class="halves">
        <Today board={board} />
        <Named site={board.site} />
      </div>
    </>
  );
}

/** Categories by steps of the journey: how many complaints of four weeks are of both. */
function Where({ board }: { board: Board }) {
  const asked = { site: board.site, names: ["complaints_by_step"], from: day_before(DAYS - 1), to: day_before(0) };
  const heard = useHeard(() => hear_measures(asked), JSON.stringify(asked));
  if (!heard) return <Nothing words={say("board.trouble.loading")} />;
  const cells = new Map(heard.leading.filter((one) => one.part).map((one) => [one.part, one.value ?? 0]));
  const sum = (of: (part: string) => boolean): number =>
    [...cells].reduce((all, [part, amount]) => all + (of(part) ? amount : 0), 0);
  const rows = [...new Set([...cells.keys()].map((part) => part.split("/")[0] ?? ""))]
    .map((category) => ({ category, all: sum((part) => part.startsWith(`${category}/`)) }))
    .toSorted((a, b) => b.all - a.all);
  const steps = STEPS.filter((step) => sum((part) => part.endsWith(`/${step}`)) > 0);
  const most = Math.max(SHADES, ...cells.values());
  return (
    <Card title={say("board.why.where")} lead={say("board.why.where_lead", { days: DAYS })}>
      {rows.length === 0 ? (
        <Nothing words={say("board.why.none")} />
      ) : (
        <div class="wide" tabIndex={0} role="region" aria-label={say("board.why.where")}>
          <table class="heat">
            <thead>
              <tr>
                <td />
                {steps.map((step) => (
                  <th key={step} scope="col">
                    {say(`board.step.${step}`)}
                  </th>
                ))}
                <th scope="col">{say("board.why.all")}</th>
              </tr>
            </thead>
            <tbody>
              {rows.map(({ category, all }) => (
                <tr key={category}>
                  <th scope="row">{say(`category.${category}`)}</th>
                  {steps.map((step) => {
                    const amount = cells.get(`${category}/${step}`) ?? 0;
                    return (
                      <td key={step} class={`shade-${Math.ceil((SHADES * amount) / most)}`}>
                        {amount ? number(amount) : ""}
                      </td>
                    );
                  })}
                  <td class="all">{number(all)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Card>
  );
}

/** What complaints are about today, beside a usual day. */
function Today({ board }: { board: Board }) {
  return (
    <Card title={say("board.why.today")}>
      {board.causes.length === 0 ? (
        <Nothing words={say("board.why.none")} />
      ) : (
        <table class="plain-table">
          <thead>
            <tr>
              <td />
              <th scope="col">{say("board.why.of_today")}</th>
              <th scope="col">{say("board.why.usual")}</th>
            </tr>
          </thead>
          <tbody>
            {board.causes.map((one) => (
              <tr key={one.reason} class={one.today > 2 * one.usual && one.today > 1 ? "more" : ""}>
                <th scope="row">{say(`category.${one.reason}`)}</th>
                <td>{number(one.today)}</td>
                <td>{number(one.usual, 1)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Card>
  );
}

/** The causes that were named, and whether what was done about them helped. */
function Named({ site }: { site: string }) {
  const heard = useHeard(() => read<Causes>("complaints", `causes?site=${encodeURIComponent(site)}`, language.value), site);
  const causes = heard?.causes.filter((one) => one.complaints > 0) ?? [];
  return (
    <Card title={say("board.why.named")} lead={say("board.why.named_lead")}>
      {causes.length === 0 && <Nothing words={say("board.why.none_named")} />}
      <ul class="plain-list">
        {causes.map((one) => (
          <li key={one.cause}>
            <span>
              <b>{one.title[language.value] ?? one.title.en ?? one.cause}</b>
              {one.last_action && (
                <small>
                  {one.last_action.note && <q>{one.last_action.note}</q>}{" "}
                  {one.last_action.after_per_week === null
                    ? say("board.why.too_early")
                    : say("board.why.before_after", {
                        before: number(one.last_action.before_per_week, 1),
                        after: number(one.last_action.after_per_week, 1),
                      })}
                </small>
              )}
            </span>
            <b>{say("board.why.complaints", { count: one.complaints })}</b>
          </li>
        ))}
      </ul>
    </Card>
  );
}
