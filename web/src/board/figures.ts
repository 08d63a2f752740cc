/** Values of measures, as people read them. */
import type { Board, Figure } from "../api";
import { language, LOCALES, moment, money, say } from "../words";

/** A wait is told in minutes from here on, and in hours from an hour and a half. */
const MINUTES_FROM_S = 90;
const HOURS_FROM_S = 90 * 60;

export const number = (value: number, digits = 0): string =>
  value.toLocaleString(LOCALES[language.value], { maximumFractionDigits: digits });

/** A part of a hundred, given in per cent. */
export const percent = (value: number, digits = 0): string =>
  (value / 100).toLocaleString(LOCALES[language.value], { style: "percent", maximumFractionDigits: digits });

const in_unit = (value: number, unit: "second" | "minute" | "hour"): string =>
  new Intl.NumberFormat(LOCALES[language.value], { style: "unit", unit, unitDisplay: "short", maximumFractionDigits: 0 }).format(value);

/** A length of time in its one or two largest units, like "8 min" or "2 h 10 min". */
export function wait(seconds: number): string {
  if (seconds < MINUTES_FROM_S) return in_unit(Math.round(seconds), "second");
  if (seconds < HOURS_FROM_S) return in_unit(Math.round(seconds / 60), "minute");
  const minutes = Math.round(seconds / 60);
  const rest = minutes % 60;
  return in_unit(Math.floor(minutes / 60), "hour") + (rest ? ` ${in_unit(rest, "minute")}` : "");
}

/** The value of a figure with its unit; `none` where there is no value. */
export function value_of(one: Pick<Figure, "amount_minor" | "currency" | "value" | "unit"> | undefined, none = ""): string {
  if (!one) return none;
  if (one.amount_minor !== null && one.currency !== null) return money(one.amount_minor, one.currency);
  if (one.value === null) return none;
  if (one.unit === "seconds") return wait(one.value);
  if (one.unit === "percent") return percent(one.value);
  return number(one.value, 1);
}

/** Why a figure has no value. */
export function absence_of(one: Pick<Figure, "absent" | "shown_from">, zone: string): string {
  if (one.absent === "not_closed" && one.shown_from) {
    return say("board.absent.shown_from", { time: moment(one.shown_from, zone) });
  }
  return say(`board.absent.${one.absent ?? "nothing_counted"}`);
}

/** A figure of today by its measure and part. */
export const today = (board: Board, measure: string, part = ""): Figure | undefined =>
  board.today.find((one) => one.measure === measure && one.part === part);

/** How many promises are at risk: broken, or soon to be. */
export const at_risk = (board: Board): number => board.promises.soon.length + board.promises.broken.length;

/** An hour of the site's clock, with its weekday. */
export const clock = (at: number, zone: string): string =>
  new Date(at).toLocaleTimeString(LOCALES[language.value], { weekday: "short", hour: "2-digit", minute: "2-digit", timeZone: zone });
