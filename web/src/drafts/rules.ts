/** What becomes of a wish that was not answered yet: pure. A draft is a wish; only the service grants. */
import type { DoesNotFit, Given, Problem, Wish } from "../api";

const MINUTE_MS = 60_000;
/** After this the guest may have left, and the employee is asked whether it still holds. */
export const ASK_AFTER_MS = 30 * MINUTE_MS;
/** Well within the time that the service remembers a key, so that a repeat never gives twice. */
export const ENDS_AFTER_MS = 24 * 60 * MINUTE_MS;
/** How long an outcome stays in the list. */
const KEPT_FOR_MS = ENDS_AFTER_MS;
/** After this nobody is shown a draft; the server keeps the key that opens it longer. */
export const GONE_AFTER_MS = ENDS_AFTER_MS + KEPT_FOR_MS;

export interface Draft {
  /** The idempotency key, which is also its name. */
  key: string;
  /** When it was made, in milliseconds. */
  made: number;
  wish: Wish;
  /** What was chosen, as the employee saw it. */
  title: string;
  worth: string;
  /** The guest's language. */
  language: string;
  /** When the employee said that it still holds, in milliseconds. */
  confirmed?: number;
  given?: Given;
  /** Whether what was given was taken back. */
  taken_back?: boolean;
  unfit?: DoesNotFit;
  refused?: Problem;
}

export type Standing = "waiting" | "asking" | "ended" | "given" | "taken_back" | "unfit" | "refused";

/** Where a draft stands now. */
export function standing(draft: Draft, now: number): Standing {
  if (draft.given) return draft.taken_back ? "taken_back" : "given";
  if (draft.unfit) return "unfit";
  if (draft.refused) return "refused";
  if (now - draft.made >= ENDS_AFTER_MS) return "ended";
  return now - (draft.confirmed ?? draft.made) >= ASK_AFTER_MS ? "asking" : "waiting";
}

/** Whether it was answered, in whatever way. */
export const is_done = (draft: Draft): boolean => Boolean(draft.given ?? draft.unfit ?? draft.refused);

/** Whether it can go from the list: what waits never does by itself. */
export function is_over(draft: Draft, now: number): boolean {
  return now - draft.made >= (is_done(draft) ? KEPT_FOR_MS : GONE_AFTER_MS);
}

/** How many are still to be decided. */
export function undecided(drafts: readonly Draft[], now: number): number {
  return drafts.filter((one) => ["waiting", "asking"].includes(standing(one, now))).length;
}
