/** Parts that several views are made of. */
import type { ComponentChildren } from "preact";
import type { Budget, Figure } from "../api";
import { Icon, type IconName } from "../icons";
import { moment, money, say } from "../words";
import { absence_of, value_of } from "./figures";

/** One large number, what it is, and what makes sense of it. */
export function Tile(props: { title: string; value: string; lead?: string; alarm?: boolean }) {
  return (
    <section class={props.alarm ? "tile alarm" : "tile"}>
      <h2>{props.title}</h2>
      <p class="number">{props.value}</p>
      {props.lead && <p class="quiet">{props.lead}</p>}
    </section>
  );
}

/** A part of a view with its title. */
export function Card(props: { title: string; lead?: string; children: ComponentChildren }) {
  return (
    <section class="card">
      <h2>{props.title}</h2>
      {props.lead && <p class="quiet">{props.lead}</p>}
      {props.children}
    </section>
  );
}

/** Names of measures and their values, one a line. */
export function Figures({ of, zone }: { of: Figure[]; zone: string }) {
  return (
    <dl class="figures">
      {of.map((one) => (
        <div key={`${one.measure} ${one.part}`}>
          <dt>{say(`board.measure.${one.measure}`)}</dt>
          <dd class={one.absent ? "absent" : ""}>{one.absent ? absence_of(one, zone) : value_of(one)}</dd>
        </div>
      ))}
    </dl>
  );
}

/** How full a budget is: in words, and as a bar. */
export function Filled({ budget, title, zone }: { budget: Budget; title: string; zone: string }) {
  const used = money(budget.used_minor, budget.currency);
  const granted = money(budget.granted_minor, budget.currency);
  const words = say("board.budget.used", { used, granted });
  return (
    <div class="budget">
      <p>
        <b>{title}</b>
        {budget.until && <span class="quiet">{say("board.budget.until", { time: moment(budget.until, zone) })}</span>}
      </p>
      <progress max={budget.granted_minor || 1} value={budget.used_minor} aria-label={`${title}: ${words}`} />
      <p class="quiet">{words}</p>
    </div>
  );
}

/** The drawing of a category. */
export const CategoryIcon = ({ of }: { of: string | null }) => <Icon name={(of ?? "other") as IconName} />;

export const Nothing = ({ words }: { words: string }) => <p class="none">{words}</p>;
