/** NOW: what is open and at risk at this moment, and how today has gone so far. */
import type { AtRisk, Board } from "../api";
import { say } from "../words";
import { absence_of, at_risk, number, today, value_of, wait } from "./figures";
import { now } from "./live";
import { Card, CategoryIcon, Figures, Filled, Nothing, Tile } from "./parts";

/** Measures of today that have no place of their own above, in the order of a complaint's life. */
const REST = ["complaints", "on_the_spot_rate", "checks_taken_back", "value_given", "reopen_rate", "delivery_success", "messages_without_address"];

export function Now({ board }: { board: Board }) {
  return (
    <>
      <Glance board={board} />
      <div class="balanced">
        <Promises board={board} />
        <Budgets board={board} />
        <Card title={say("board.now.today")}>
          <Figures of={board.today.filter((one) => REST.includes(one.measure) && one.part === "")} zone={board.timezone} />
        </Card>
      </div>
    </>
  );
}

function Glance({ board }: { board: Board }) {
  const half = today(board, "time_to_compensation", "p50");
  const most = today(board, "time_to_compensation", "p95");
  const helped = today(board, "helped_rate");
  const given = today(board, "checks_given");
  const cost = today(board, "cost_given");
  const risk = at_risk(board);
  return (
    <div class="tiles">
      <Tile
        title={say("board.now.first_gift")}
        value={value_of(half, "–")}
        lead={half?.absent ? absence_of(half, board.timezone) : most ? say("board.now.most", { time: value_of(most) }) : ""}
      />
      <Tile
        title={say("board.now.helped")}
        value={value_of(helped, "–")}
        lead={helped?.absent ? say("board.now.no_answer") : say("board.now.of_answers")}
      />
      <Tile
        title={say("board.now.at_risk")}
        value={number(risk)}
        alarm={risk > 0}
        lead={say("board.now.waiting", { count: board.promises.waiting })}
      />
      <Tile
        title={say("board.now.given")}
        value={value_of(given, "0")}
        lead={cost && !cost.absent ? say("board.now.cost", { amount: value_of(cost) }) : ""}
      />
    </div>
  );
}

function Promises({ board }: { board: Board }) {
  const { soon, broken, taken_back } = board.promises;
  const lists = [
    { title: say("board.now.broken"), promises: broken },
    { title: say("board.now.soon"), promises: soon },
    { title: say("board.now.taken_back"), promises: taken_back },
  ].filter((one) => one.promises.length > 0);
  return (
    <Card title={say("board.now.promises")}>
      {lists.length === 0 && <Nothing words={say("board.now.all_kept")} />}
      {lists.map((list) => (
        <section key={list.title} class="list">
          <h3>{list.title}</h3>
          <ul class="plain-list">
            {list.promises.map((one) => (
              <Waiting key={one.promise_id} promise={one} />
            ))}
          </ul>
        </section>
      ))}
    </Card>
  );
}

function Waiting({ promise }: { promise: AtRisk }) {
  const left_s = (new Date(promise.promised_by).getTime() - now.value) / 1000;
  const time = wait(Math.abs(left_s));
  return (
    <li>
      <CategoryIcon of={promise.category} />
      <span>
        <b>{promise.category ? say(`category.${promise.category}`) : say("board.now.unknown")}</b>
        <small>
          {promise.severity && say(`board.severity.${promise.severity}`)} <code>{promise.reference}</code>
        </small>
      </span>
      <b class={left_s < 0 ? "clock late" : "clock"}>{say(left_s < 0 ? "board.now.late" : "board.now.left", { time })}</b>
    </li>
  );
}

function Budgets({ board }: { board: Board }) {
  return (
    <Card title={say("board.budget.title")}>
      <Filled budget={board.budget} title={say("board.budget.site")} zone={board.timezone} />
      {board.incidents.map((one) => (
        <Filled
          key={one.incident_id}
          budget={one.budget}
          title={say("board.incident.title", { about: say(`category.${one.reason}`), guests: say("board.incident.affected", { count: one.affected }) })}
          zone={board.timezone}
        />
      ))}
      {board.incidents.length === 0 && <p class="quiet">{say("board.incident.none")}</p>}
    </Card>
  );
}
