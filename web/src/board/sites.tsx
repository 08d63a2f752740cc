/** ALL SITES: each of my sites in a line, what hurts most in front. Nothing is added up over sites. */
import { useEffect } from "preact/hooks";
import { to } from "../route";
import { say } from "../words";
import { at_risk, number, percent, today, value_of } from "./figures";
import { group, hear_group } from "./live";
import { Card } from "./parts";

/** Boards of all sites are asked for so often while they are looked at; one site's is live. */
const AGAIN_MS = 15_000;

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
                  <td>{value_of(today(one, "time_to_compensation", "p50"), "–")}</td>
                  <td>{value_of(today(one, "helped_rate"), "–")}</td>
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
