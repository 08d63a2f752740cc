/** ALL SITES: each of my sites in a line, what hurts most in front. Nothing is added up over sites. */
import { useEffect } from "preact/hooks";
import type { Board } from "../api";
import { to } from "../route";
import { say } from "../words";
import { number, percent, today, value_of } from "./figures";
import { group, hear_group } from "./live";
import { Card } from "./parts";

/** Boards of all sites are asked for so often while they are looked at; one site's is live. */
const AGAIN_MS = 15_000;

const at_risk = (one: Board): number => one.promises.soon.length + one.promises.broken.length;

export function Sites() {
  useEffect(() => {
    void hear_group();
    const again = setInterval(() => void hear_group(), AGAIN_MS);
    return () => clearInterval(again);
  }, []);
  const boards = group.value?.boards ?? [];
  return (
    <Card title={say("board.sites.title", { count: boards.length })} lead={say("board.sites.lead")}>
      <div class="wide" tabIndex={0} role="region" aria-label={say("board.tab.sites")}>
        <table class="plain-table">
          <thead>
            <tr>
              <th scope="col">{say("board.site")}</th>
              <th scope="col">{say("board.now.at_risk")}</th>
              <th scope="col">{say("board.now.first_gift")}</th>
              <th scope="col">{say("board.now.helped")}</th>
              <th scope="col">{say("board.sites.budget")}</th>
              <th scope="col">{say("board.sites.incidents")}</th>
            </tr>
          </thead>
          <tbody>
            {boards
              .toSorted((a, b) => at_risk(b) - at_risk(a))
              .map((one) => (
                <tr key={one.site} class={at_risk(one) ? "more" : ""}>
                  <th scope="row">
                    <a class="link" href={to("now", one.site)}>
                      {one.name}
                    </a>
                  </th>
                  <td>{number(at_risk(one))}</td>
                  <td>{shown(one, "time_to_compensation", "p50")}</td>
                  <td>{shown(one, "helped_rate")}</td>
                  <td>{one.budget.granted_minor ? percent((100 * one.budget.used_minor) / one.budget.granted_minor) : "–"}</td>
                  <td>{number(one.incidents.length)}</td>
                </tr>
              ))}
          </tbody>
        </table>
      </div>
    </Card>
  );
}

function shown(board: Board, measure: string, part = ""): string {
  const found = today(board, measure, part);
  return (found && value_of(found)) || "–";
}
