/** What of a policy a manager changes on the board: its fields by the schema, and changes that are not published yet. */

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
type Part = { [name: string]: Json };

/** Amounts are in minor units. */
export type Kind = "money" | "percent" | "count";

export interface Field {
  /** Where it stands in the policy. */
  path: readonly string[];
  kind: Kind;
  least: number;
  most: number;
  /** Whether the policy may leave it out, so that there is no such limit. */
  optional: boolean;
}

/** Where the fields stand, which they are, and what they are counted in; every name of a part in place of `*`. */
const TABLE: readonly { part: readonly string[]; names: readonly string[]; kind: Kind }[] = [
  { part: ["authority", "roles", "*"], names: ["per_check", "per_shift", "per_day", "per_week"], kind: "money" },
  { part: ["authority", "stretch"], names: ["percent"], kind: "percent" },
  { part: ["authority", "stretch"], names: ["times_per_shift"], kind: "count" },
  { part: ["limits", "customer"], names: ["per_day", "per_stay"], kind: "money" },
  { part: ["limits", "customer"], names: ["stay_days", "checks_per_day"], kind: "count" },
  { part: ["limits", "complaint"], names: ["total"], kind: "money" },
  { part: ["limits", "site"], names: ["per_day"], kind: "money" },
  { part: ["incidents"], names: ["budget"], kind: "money" },
  { part: ["delight"], names: ["budget"], kind: "money" },
];

const part_of = (one: Json | undefined): Part => (one !== null && typeof one === "object" && !Array.isArray(one) ? one : {});

export const at = (whole: Json, path: readonly string[]): Json | undefined =>
  path.reduce<Json | undefined>((found, name) => part_of(found)[name], whole);

/** The fields that this policy has, in the order of the table; a part that it does not have has none. */
export function fields_of(policy: Json, schema: Json): Field[] {
  return TABLE.flatMap(({ part, names, kind }) =>
    parts_of(policy, part).flatMap((where) =>
      names.map((name) => {
        const path = [...where, name];
        return { path, kind, ...bounds_of(schema, path) };
      }),
    ),
  );
}

/** The places of a part that are there, one for each name in place of `*`. */
function parts_of(policy: Json, part: readonly string[]): string[][] {
  let found: string[][] = [[]];
  for (const name of part) {
    found = found.flatMap((where) => (name === "*" ? Object.keys(part_of(at(policy, where))) : [name]).map((one) => [...where, one]));
  }
  return found.filter((where) => Object.keys(part_of(at(policy, where))).length > 0);
}

/** What the schema says of a field. */
function bounds_of(schema: Json, path: readonly string[]): Pick<Field, "least" | "most" | "optional"> {
  const forms = path.reduce((found, name) => {
    const whole = found.find((one) => "properties" in one || "patternProperties" in one) ?? {};
    const [any] = Object.values(part_of(whole.patternProperties));
    return forms_of(schema, part_of(whole.properties)[name] ?? any ?? null);
  }, forms_of(schema, schema));
  const number = forms.find((one) => "minimum" in one) ?? {};
  return {
    least: Number(number.minimum ?? 0),
    most: Number(number.maximum ?? Number.MAX_SAFE_INTEGER),
    optional: forms.some((one) => one.type === "null"),
  };
}

/** The forms that a part of a schema takes, each with what it refers to. */
function forms_of(schema: Json, one: Json): Part[] {
  const part = part_of(one);
  if (typeof part.$ref === "string") return forms_of(schema, at(schema, part.$ref.split("/").slice(1)) ?? null);
  return Array.isArray(part.anyOf) ? part.anyOf.flatMap((form) => forms_of(schema, form)) : [part];
}

/** Values that are to be others, by `name_of` their fields; null where a limit is taken away. */
export type Changes = Readonly<Record<string, number | null>>;

export const name_of = (field: Field): string => field.path.join("/");

/** The value of a field, changed or as it is; null where there is no such limit. */
export function value_in(policy: Json, changes: Changes, field: Field): number | null {
  const changed = changes[name_of(field)];
  return changed !== undefined ? changed : ((at(policy, field.path) as number | null | undefined) ?? null);
}

/** The changes with another value of a field; one that is as the policy has it is no change. */
export function change(policy: Json, changes: Changes, field: Field, value: number | null): Changes {
  const { [name_of(field)]: _, ...others } = changes;
  return value === value_in(policy, {}, field) ? others : { ...others, [name_of(field)]: value };
}

/** The policy with the changes. */
export function changed(policy: Json, changes: Changes, fields: readonly Field[]): Json {
  const draft = structuredClone(policy);
  for (const field of fields) {
    const value = changes[name_of(field)];
    if (value !== undefined) part_of(at(draft, field.path.slice(0, -1)))[field.path.at(-1) as string] = value;
  }
  return draft;
}
