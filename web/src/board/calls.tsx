/** GOOD CALLS: stretches that somebody at the desk dared, to praise those that were right. */
import { useState } from "preact/hooks";
import { Away, type Board, read, Refused, type Stretches, tap } from "../api";
import { Icon } from "../icons";
import { day, language, money, say } from "../words";
import { useHeard } from "./measures";
import { Card, CategoryIcon, Nothing } from "./parts";

export function Calls({ board }: { board: Board }) {
  const heard = useHeard(() => read<Stretches>("audit", `stretches?site=${encodeURIComponent(board.site)}`, language.value), board.site);
  if (!heard) return <Nothing words={say("board.trouble.loading")} />;
  return (
    <Card title={say("board.calls.title")} lead={say("board.calls.lead")}>
      {heard.stretches.length === 0 && <Nothing words={say("board.calls.none")} />}
      <ul class="plain-list">
        {heard.stretches.map((one) => (
          <Stretch key={one.check_id} of={one} />
        ))}
      </ul>
    </Card>
  );
}

function Stretch({ of }: { of: Stretches["stretches"][number] }) {
  const [praised, praise] = useState(of.praised_at !== null);
  const [failed, fail] = useState(false);
  const say_so = async (): Promise<void> => {
    try {
      await tap("compensation", `checks/${encodeURIComponent(of.check_id)}/good-call`, {}, language.value);
      praise(true);
    } catch (fault) {
      // Somebody praised it a moment ago: that is as good.
      if (fault instanceof Refused && fault.problem.type.endsWith("already_praised")) praise(true);
      else if (fault instanceof Refused || fault instanceof Away) fail(true);
      else throw fault;
    }
  };
  return (
    <li>
      <CategoryIcon of={of.reason} />
      <span>
        <b>{say(`category.${of.reason}`)}</b>
        <small>
          {day(of.day)} · {say("board.calls.worth", { value: money(of.value_minor, of.currency), cost: money(of.cost_minor, of.currency) })}
        </small>
        {failed && <small class="failed">{say("board.failed")}</small>}
      </span>
      {praised ? (
        <b class="praised">
          <Icon name="done" />
          {say("board.calls.praised")}
        </b>
      ) : (
        <button type="button" class="small" onClick={() => void say_so()}>
          {say("board.calls.praise")}
        </button>
      )}
    </li>
  );
}
