/** A wish on its way to the service: stored with its key before it is sent, and sent again until it is answered. */
import { signal } from "@preact/signals";
import { Away, read, Refused, write } from "../api";
import type { Check, DoesNotFit, Given, Wish } from "../api";
import { hear_authority, heard, online } from "../desk";
import { keys } from "../session";
import { language } from "../words";
import { type Draft, is_done, is_over, standing, undecided } from "./rules";
import { type Database, DraftStore, opened } from "./store";

/** All drafts of the employee who is signed in, the newest first. */
export const drafts = signal<Draft[]>([]);
/** How many more are here that cannot be opened before the server is asked for the key. */
export const sealed = signal(0);

/** How many drafts of other employees wait at this device. */
const others = signal(0);

/** How many drafts of this employee are still to be decided. */
export const waiting = (): number => undecided(drafts.value, Date.now()) + sealed.value;
/** What a sign-out would lose, which clears the device. */
export const lost_by_leaving = (): number => waiting() + others.value;

let database: Database | null = null;

async function stored(): Promise<DraftStore> {
  database ??= await opened();
  return new DraftStore(database, keys());
}

async function show(): Promise<void> {
  const found = await (await stored()).all();
  drafts.value = found.drafts;
  sealed.value = found.sealed;
  others.value = found.others;
}

/** One page sends at a time; the key would keep a second one from giving twice, but would wait in vain. */
function alone<T>(work: () => Promise<T>): Promise<T> {
  return navigator.locks ? (navigator.locks.request("drafts", work) as Promise<T>) : work();
}

/** Keep a wish and send it; returns the draft with what became of it, which is nothing while the service is away. */
export async function give(wish: Wish, seen: { title: string; worth: string; language: string }): Promise<Draft> {
  const draft: Draft = { key: crypto.randomUUID(), made: Date.now(), wish, ...seen };
  await (await stored()).put(draft);
  return await alone(() => send(draft));
}

async function send(draft: Draft): Promise<Draft> {
  // Let go while others were sent.
  if (!(await (await stored()).has(draft.key))) return draft;
  const after = { ...draft };
  try {
    after.given = await write<Given>("compensation", "checks", draft.wish, draft.key, draft.language);
  } catch (fault) {
    if (fault instanceof Refused && fault.problem.type === "authority_exhausted") after.unfit = fault.problem as unknown as DoesNotFit;
    else if (fault instanceof Refused) after.refused = fault.problem;
    else if (!(fault instanceof Away)) throw fault;
  }
  // One without an answer is as it was, or was let go meanwhile; what was given is shown all the same.
  if (is_done(after)) await (await stored()).put(after);
  await show();
  if (after.given || after.unfit) void hear_authority();
  return after;
}

/** Send what waits, and let go what is over; called when the network is back and when the page is shown again. */
export async function replay(): Promise<void> {
  await alone(async () => {
    const now = Date.now();
    const held = await stored();
    await held.tidy(now);
    for (const draft of (await held.all()).drafts.reverse()) {
      if (is_over(draft, now)) await held.drop(draft.key);
      else if (standing(draft, now) === "waiting" && !(await send(draft)).given && !online.value) break;
    }
    await show();
  });
}

/** The employee says that it still holds. */
export async function confirm(draft: Draft): Promise<Draft> {
  const after = { ...draft, confirmed: Date.now() };
  await (await stored()).put(after);
  return await alone(() => send(after));
}

/** Checks were taken back, here or elsewhere. */
export async function took_back(ids: readonly string[]): Promise<void> {
  const held = await stored();
  const gone = (await held.all()).drafts.filter((one) => one.given && !one.taken_back && ids.includes(one.given.check_id));
  for (const one of gone) await held.put({ ...one, taken_back: true });
  if (gone.length) await show();
}

/** Ask what was taken back of what I gave today. */
export async function hear_taken_back(): Promise<void> {
  await heard(async () => {
    const { checks } = await read<{ checks: Check[] }>("compensation", "checks", language.value);
    await took_back(checks.filter((one) => one.state === "voided").map((one) => one.check_id));
  });
}

/** The employee lets a draft go. */
export async function drop(draft: Draft): Promise<void> {
  await (await stored()).drop(draft.key);
  await show();
}
