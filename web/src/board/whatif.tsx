/** WHAT IF: the limits of the policy, tried on the wishes of last month, and published after a look at what changes. */
import { signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { Away, type Board, type Policy, type PolicySchema, read, read_tagged, Refused, tap, type Tried } from "../api";
import { day, known, language, load, moment, money, say, speakFrom } from "../words";
import { number } from "./figures";
import { Card, Nothing, Tile } from "./parts";
import { at, change, type Changes, changed, type Field, fields_of, type Json, name_of, value_in } from "./policy";
import "./whatif.css";

/** A run takes up to two minutes, and an answer is waited for less long: the same request gets it once it is there. */
const TRIES_MAX = 30;
const AGAIN_MS = 5_000;

speakFrom({
  nb: () => import("words:whatif/nb"),
  sv: () => import("words:whatif/sv"),
  da: () => import("words:whatif/da"),
  en: () => import("words:whatif/en"),
});

/** Load the words of the view, which come with it. */
export const ready = (): Promise<void> => load(language.value);

/** The policy as it was read, what may be changed, and what is changed: kept while other views are looked at. */
interface Open {
  tag: string;
  version: Policy;
  policy: Json;
  fields: Field[];
}
const opened = signal<Open | null>(null);
const changes = signal<Changes>({});
const tried = signal<Tried | null>(null);
/** How often all changes were undone: what was typed goes with them. */
const undone = signal(0);
/** The key of what went wrong or well, and its values. */
type Told = { key: string; values?: Record<string, string | number> } | null;
const told = signal<Told>(null);

/** Change something: what was tried and told was about other changes. */
function set(next: Changes): void {
  changes.value = next;
  tried.value = null;
  told.value = null;
}

async function hear(): Promise<void> {
  const schema = await read<PolicySchema>("compensation", "policy/schema", language.value);
  const { body, tag } = await read_tagged<Policy>("compensation", "policy", language.value);
  const policy = body.policy as unknown as Json;
  const fields = fields_of(policy, schema.json_schema as Json);
  opened.value = { tag, version: body, policy, fields };
  // What the policy has by now is no change any more.
  const left = fields.reduce((all, one) => change(policy, all, one, value_in(policy, all, one)), changes.value);
  if (Object.keys(left).length < Object.keys(changes.value).length) changes.value = left;
}

/** Do what was asked, and tell what went wrong; everything but being away or refused is loud. */
async function telling(asking: () => Promise<Told>): Promise<void> {
  told.value = null;
  try {
    told.value = await asking();
  } catch (fault) {
    if (fault instanceof Away) told.value = { key: fault.message === "429" ? "whatif.too_often" : "whatif.away" };
    else if (fault instanceof Refused) told.value = await of_refusal(fault);
    else throw fault;
  }
}

async function of_refusal({ problem }: Refused): Promise<Told> {
  if (problem.type !== "changed_meanwhile") {
    const fields = opened.value?.fields ?? [];
    const where = (problem.errors ?? []).flatMap(({ pointer }) => fields.filter((one) => pointer.endsWith(`/${name_of(one)}`)));
    return where[0] ? { key: "whatif.wrong", values: { field: title_of(where[0]) } } : { key: "whatif.refused" };
  }
  await hear();
  return { key: "whatif.changed_meanwhile" };
}

export function WhatIf({ board }: { board: Board }) {
  useEffect(() => void telling(async () => (await hear(), null)), []);
  const shown = opened.value;
  if (!shown) return <Nothing words={say(told.value?.key ?? "board.trouble.loading")} />;
  const { version, policy, fields } = shown;
  if (version.site !== board.site) return <Nothing words={say("whatif.other_site", { site: version.policy.site_name })} />;
  return (
    <>
      <p class="lead">{say("whatif.lead")}</p>
      <div class="columns">
        <div>
          {GROUPS.map((group) => (
            <Group key={`${group} ${version.version} ${undone.value}`} name={group} of={shown} />
          ))}
          <Card title={say("whatif.rest")} lead={say("whatif.rest_lead")}>
            <details class="table">
              <summary>{say("whatif.rest_open")}</summary>
              <pre tabIndex={0}>{JSON.stringify(changed(policy, changes.value, fields), null, 1)}</pre>
            </details>
          </Card>
        </div>
        <div class="beside">
          <Card title={say("whatif.changes")} lead={in_force(version, board.timezone)}>
            <Changed of={shown} />
          </Card>
        </div>
      </div>
      {tried.value && <Result of={tried.value} policy={policy} />}
    </>
  );
}

/** Which version holds, and since when and by whom where that is known. */
function in_force({ version, by, published_at }: Policy, zone: string): string {
  if (!published_at) return say("whatif.version", { version });
  return say("whatif.published", { version, time: moment(published_at, zone), who: by ?? say("whatif.an_operator") });
}

const GROUPS = ["roles", "stretch", "customer", "complaint", "site", "incidents", "delight"] as const;
type GroupName = (typeof GROUPS)[number];
const group_of = (field: Field): GroupName =>
  GROUPS.find((one) => field.path.includes(one)) as GroupName;

/** What a role is called: by its id, as the roster has it. */
const role = (name: string): string => (name === "any" ? say("whatif.role_any") : name);

/** A field by itself, with whose limit it is. */
const title_of = (field: Field): string => {
  const whose = group_of(field) === "roles" ? role(field.path[2] as string) : say(`whatif.group.${group_of(field)}`);
  return `${whose}: ${label_of(field)}`;
};
const label_of = (field: Field): string => say(`whatif.field.${field.path.at(-1)}`);

/** The fields of a group; of roles one set for each. */
function Group({ name, of }: { name: GroupName; of: Open }) {
  const fields = of.fields.filter((one) => group_of(one) === name);
  if (fields.length === 0) return null;
  const found = [...new Set(fields.map((one) => (name === "roles" ? (one.path[2] as string) : "")))];
  // Everybody else comes after those who are named.
  const roles = found.toSorted((a, b) => Number(a === "any") - Number(b === "any"));
  return (
    <Card title={say(`whatif.group.${name}`)} {...(known(`whatif.lead_of.${name}`) ? { lead: say(`whatif.lead_of.${name}`) } : {})}>
      {roles.map((one) => (
        <fieldset key={one} class="limits">
          <legend class={one ? "" : "hidden"}>{one ? role(one) : say(`whatif.group.${name}`)}</legend>
          {fields
            .filter((field) => !one || field.path[2] === one)
            .map((field) => (
              <Limit key={name_of(field)} field={field} of={of} />
            ))}
        </fieldset>
      ))}
    </Card>
  );
}

/** Minor units in one of a currency, such as 100 øre in a krone. */
const per_unit = (currency: string): number =>
  10 ** (new Intl.NumberFormat("en", { style: "currency", currency }).resolvedOptions().maximumFractionDigits ?? 2);

/** A value as it is said. */
function said(field: Field, value: number | null, currency: string): string {
  if (value === null) return say("whatif.no_limit");
  if (field.kind === "money") return money(value, currency);
  return field.kind === "percent" ? say("whatif.percent", { value: number(value) }) : number(value);
}

/** One limit as a number that may be typed; empty is no limit where there may be none. */
function Limit({ field, of }: { field: Field; of: Open }) {
  const { currency } = of.version.policy;
  const unit = field.kind === "money" ? per_unit(currency) : 1;
  const value = value_in(of.policy, changes.value, field);
  // As it was typed: a number in its place would end a decimal that is begun, and fill a field that was emptied.
  const [text, type] = useState(value === null ? "" : String(value / unit));
  const [wrong, find] = useState(false);
  const id = name_of(field);
  const put = (input: HTMLInputElement): void => {
    type(input.value);
    const minor = Math.round(input.valueAsNumber * unit);
    const empty = input.value === "" && !input.validity.badInput;
    const right = empty ? field.optional : minor >= field.least && minor <= field.most;
    find(!right);
    // A wrong number is no change, so that nothing else is published than what the field shows.
    const next = right ? (empty ? null : minor) : value_in(of.policy, {}, field);
    if (next !== value) set(change(of.policy, changes.value, field, next));
  };
  return (
    <div class="field">
      <label for={id}>
        {label_of(field)}
        {field.kind === "money" && <small> {currency}</small>}
      </label>
      <input
        id={id}
        type="number"
        inputMode="decimal"
        min={field.least / unit}
        max={field.most / unit}
        step="any"
        required={!field.optional}
        placeholder={field.optional ? say("whatif.no_limit") : ""}
        value={text}
        aria-invalid={wrong}
        aria-describedby={wrong ? `${id}?` : undefined}
        class={name_of(field) in changes.value ? "changed" : ""}
        onInput={(event) => put(event.currentTarget)}
      />
      {wrong && (
        <small id={`${id}?`} class="failed">
          {say("whatif.bounds", { least: said(field, field.least, currency), most: said(field, field.most, currency) })}
        </small>
      )}
    </div>
  );
}

/** What is changed, each before and after, and what can be done with it. */
function Changed({ of }: { of: Open }) {
  const [busy, be] = useState<"" | "trying" | "publishing">("");
  const { policy, version } = of;
  const { currency } = version.policy;
  const found = of.fields.filter((one) => name_of(one) in changes.value);
  const doing = async (what: "trying" | "publishing", asking: () => Promise<Told>): Promise<void> => {
    be(what);
    await telling(asking);
    be("");
  };
  const draft = (): Json => changed(policy, changes.value, of.fields);
  const undo = (): void => {
    set({});
    undone.value += 1;
  };
  const run = async (): Promise<Told> => {
    tried.value = null;
    const asked = changes.value;
    const found = await patiently(draft());
    // What was changed meanwhile was not tried.
    if (changes.value === asked) tried.value = found;
    return null;
  };
  const publish = async (): Promise<Told> => {
    const next = await tap<Policy>("compensation", "policy", { policy: draft() }, language.value, of.tag);
    tried.value = null;
    // The changes go as they are read: without an answer nobody takes the old limits for what was published.
    await hear();
    return { key: "whatif.done", values: { version: next.version } };
  };
  return (
    <>
      {found.length === 0 && <Nothing words={say("whatif.unchanged")} />}
      <dl class="figures">
        {found.map((field) => (
          <div key={name_of(field)}>
            <dt>{title_of(field)}</dt>
            <dd>
              {said(field, value_in(policy, {}, field), currency)} → {said(field, value_in(policy, changes.value, field), currency)}
            </dd>
          </div>
        ))}
      </dl>
      <p class="notice" role="status">
        {busy === "trying" ? say("whatif.trying") : told.value ? say(told.value.key, told.value.values) : ""}
      </p>
      {found.length > 0 && (
        <div class="acts">
          <button type="button" class="plain" disabled={busy !== ""} onClick={() => void doing("trying", run)}>
            {say("whatif.try")}
          </button>
          <button type="button" class="primary" disabled={busy !== ""} onClick={() => void doing("publishing", publish)}>
            {say("whatif.publish", { version: version.version + 1 })}
          </button>
          <button type="button" class="small" disabled={busy !== ""} onClick={undo}>
            {say("whatif.undo")}
          </button>
        </div>
      )}
    </>
  );
}

/** The run of a draft, asked for again while it goes on; throws Away, Refused. */
async function patiently(draft: Json): Promise<Tried> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await tap<Tried>("compensation", "policy/whatif", { draft }, language.value);
    } catch (fault) {
      if (!(fault instanceof Away) || fault.message === "429" || tries === TRIES_MAX) throw fault;
      await new Promise((done) => setTimeout(done, AGAIN_MS));
    }
  }
}

/** What last month would have come to: as it was, and under the draft. */
function Result({ of, policy }: { of: Tried; policy: Json }) {
  // It comes below the form, minutes after it was asked for.
  const top = useRef<HTMLElement>(null);
  useEffect(() => top.current?.focus(), [of]);
  const lead = say("whatif.tried_lead", { since: day(of.since.slice(0, 10)), until: day(of.until.slice(0, 10)) });
  if (of.groups.length === 0) {
    return (
      <section class="tried" ref={top} tabIndex={-1}>
        <Card title={say("whatif.tried")} lead={lead}>
          <Nothing words={say("whatif.none_tried")} />
        </Card>
      </section>
    );
  }
  const sum = (one: (group: TriedGroup) => number | null | undefined): number | null =>
    of.groups.reduce<number | null>((all, group) => (all === null || one(group) == null ? null : all + (one(group) as number)), 0);
  const cost = (minor: number | null | undefined): string => (minor == null ? "–" : money(minor, of.currency));
  const count = (value: number | null | undefined): string => (value == null ? "–" : number(value));
  return (
    <section class="tried" ref={top} tabIndex={-1}>
      <div class="tiles three">
        <Tile title={say("whatif.column.granted")} value={count(sum((one) => one.granted))} lead={before(count(sum((one) => one.granted_before)))} />
        <Tile title={say("whatif.column.newly_refused")} value={count(sum((one) => one.newly_refused))} />
        <Tile title={say("whatif.column.cost")} value={cost(sum((one) => one.cost_minor))} lead={before(cost(sum((one) => one.cost_before_minor)))} />
      </div>
      <Card title={say("whatif.tried")} lead={lead}>
        <div class="wide" tabIndex={0} role="region" aria-label={say("whatif.tried")}>
          <table class="plain-table">
            <thead>
              <tr>
                {["item", "wishes", "granted", "newly_granted", "newly_refused", "cost", "binds"].map((one) => (
                  <th key={one} scope="col">
                    {say(`whatif.column.${one}`)}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {of.groups.map((one) => (
                <tr key={`${one.item} ${one.reason} ${one.role}`}>
                  <th scope="row">
                    {titled(one.item ?? "", policy)}
                    <br />
                    <small>{[one.reason && say(`category.${one.reason}`), one.role && role(one.role)].filter(Boolean).join(" · ")}</small>
                  </th>
                  <td>{count(one.wishes)}</td>
                  <td>
                    {count(one.granted_before)} → {count(one.granted)}
                  </td>
                  <td>{count(one.newly_granted)}</td>
                  <td>{count(one.newly_refused)}</td>
                  <td>
                    {cost(one.cost_before_minor)} → {cost(one.cost_minor)}
                  </td>
                  <td>{binding(one)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
        <p class="quiet">{say(of.withheld ? "whatif.withheld" : "whatif.rough")}</p>
      </Card>
    </section>
  );
}

type TriedGroup = Tried["groups"][number];
const before = (value: string): string => say("whatif.before", { value });

/** What an item is called, as the policy has it. */
function titled(item: string, policy: Json): string {
  const titles = at(policy, ["checks", item, "title"]) as Record<string, string> | undefined;
  return titles?.[language.value] ?? Object.values(titles ?? {})[0] ?? item;
}

/** Which limits refuse wishes of a group, and how many. */
function binding(of: TriedGroup): string {
  const limits = Object.entries(of.bound_by ?? {}).map(([scope, many]) => `${say(`whatif.scope.${scope}`)} ${number(many as number)}`);
  const rules = Object.values(of.refused_for ?? {}).reduce<number>((all, many) => all + (many as number), 0);
  return [...limits, ...(rules ? [`${say("whatif.another_rule")} ${number(rules)}`] : [])].join(", ") || "–";
}
