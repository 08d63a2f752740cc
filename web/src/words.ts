/** What a face says: words of shared/words, amounts and times as the reader writes them. */
import { signal } from "@preact/signals";
import { in_words } from "./length";

export const LANGUAGES = { nb: "Norsk", sv: "Svenska", da: "Dansk", en: "English" } as const;
export type Language = keyof typeof LANGUAGES;
type Text = string | Record<string, string>;
type Texts = Record<string, Text>;

const KEPT = "language";
export const LOCALES: Record<Language, string> = { nb: "nb-NO", sv: "sv-SE", da: "da-DK", en: "en-GB" };
type Source = Record<Language, () => Promise<{ default: Texts }>>;
const texts = new Map<Language, Texts>();
const sources: Source[] = [];

/** Where words come from: each face has its own and loads no other's, and so has what is loaded later. Called before anything of it is said. */
export function speakFrom(given: Source): void {
  sources.push(given);
}

/** The employee's language; the guest's may be another. */
export const language = signal<Language>(preferred());

function preferred(): Language {
  const wanted = [localStorage.getItem(KEPT) ?? "", ...navigator.languages].map((one) => one.slice(0, 2));
  const ours = wanted.map((one) => (one === "no" || one === "nn" ? "nb" : one)).find((one) => one in LANGUAGES);
  return (ours ?? "en") as Language;
}

/** Load the words of a language; they are with the app, so that it works without a network. */
export async function load(wanted: Language): Promise<void> {
  const parts = await Promise.all(sources.map((one) => one[wanted]()));
  texts.set(wanted, Object.assign({}, ...parts.map((one) => one.default)) as Texts);
}

/** Speak another language from now on, also at the next opening. */
export async function speak(wanted: Language): Promise<void> {
  await load(wanted);
  localStorage.setItem(KEPT, wanted);
  document.documentElement.lang = wanted;
  language.value = wanted;
}

type Values = Record<string, string | number>;

/** The text of a key in a language that is loaded, in the plural form of `count` if it has forms. */
export function sayIn(spoken: Language, key: string, values: Values = {}): string {
  let found = texts.get(spoken)?.[key];
  if (typeof found === "object") {
    const form = new Intl.PluralRules(LOCALES[spoken]).select(Number(values.count ?? 0));
    found = found[form] ?? found.other;
  }
  if (found === undefined) throw new Error(`no words for ${key}`);
  return found.replace(/\{([a-z_]+)\}/g, (_, name: string) => String(values[name]));
}

export const say = (key: string, values?: Values): string => sayIn(language.value, key, values);

/** Whether there are words for a key: what a newer service says may not be known here. */
export const known = (key: string): boolean => texts.get(language.value)?.[key] !== undefined;

/** An amount, like "1 200 kr", as letters write it; minor units by ISO 4217. */
export function money(minor: number, currency: string, spoken: Language = language.value): string {
  const style = { style: "currency", currency } as const;
  const digits = new Intl.NumberFormat(LOCALES[spoken], style).resolvedOptions().maximumFractionDigits ?? 2;
  const amount = minor / 10 ** digits;
  const whole = Number.isInteger(amount) ? { maximumFractionDigits: 0, minimumFractionDigits: 0 } : {};
  const parts = new Intl.NumberFormat(LOCALES[spoken], { ...style, ...whole }).formatToParts(amount);
  // The neighbours' crowns are "Nkr" and "Dkr" in Swedish, which no price list writes.
  return parts.map((one) => (one.type === "currency" && /.kr$/.test(one.value) ? currency : one.value)).join("");
}

/** What a check is worth to the guest; empty for what costs nothing. */
export function worth(
  one: { kind: string; value_minor: number; currency: string; percent?: number | null; bill_up_to_minor?: number | null },
  spoken: Language = language.value,
): string {
  if (one.percent && one.bill_up_to_minor) {
    const amount = money(one.bill_up_to_minor, one.currency, spoken);
    return sayIn(spoken, "app.off_a_bill", { percent: one.percent, amount });
  }
  if (!one.value_minor) return "";
  const amount = money(one.value_minor, one.currency, spoken);
  return one.kind === "money" || one.kind === "refund" ? amount : sayIn(spoken, "app.worth", { amount });
}

/** A clock time, and the day unless it is today. */
export function moment(at: string | number, zone: string | undefined, spoken: Language = language.value): string {
  const when = new Date(at);
  const locale = LOCALES[spoken];
  const at_site = zone ? { timeZone: zone } : {};
  const day = (one: Date): string => one.toLocaleDateString("sv-SE", at_site);
  const time = when.toLocaleTimeString(locale, { hour: "2-digit", minute: "2-digit", ...at_site });
  if (day(when) === day(new Date())) return time;
  return `${when.toLocaleDateString(locale, { day: "numeric", month: "short", ...at_site })} ${time}`;
}

/** A day like 2026-06-03, with its weekday. */
export const day = (date: string): string =>
  new Date(`${date}T00:00:00Z`).toLocaleDateString(LOCALES[language.value], { weekday: "short", day: "numeric", month: "short", timeZone: "UTC" });

/** A length of time, like "7 days", "36 hours" or "20 min". */
export function length(seconds: number, spoken: Language = language.value): string {
  const { unit, count } = in_words(seconds);
  const style = { style: "unit", unit, unitDisplay: unit === "minute" ? "short" : "long" } as const;
  return new Intl.NumberFormat(LOCALES[spoken], style).format(count);
}
