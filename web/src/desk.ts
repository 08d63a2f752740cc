/** What the app knows at the moment, and when it heard it. Guests' words are in memory alone. */
import { computed, signal } from "@preact/signals";
import { Away, away, read, Refused } from "./api";
import type { Authority, Incident, Inbox, Me, OpenOffer, Row, Site } from "./api";
import { known, language, say } from "./words";

export const me = signal<Me | null>(kept("me"));
export const site = signal<Site | null>(kept("site"));
export const authority = signal<Authority | null>(kept("authority"));
/** When `authority` was heard, in milliseconds; what is older than a minute is shown with its time. */
export const as_of = signal<number>(kept("as_of") ?? 0);
export const mine = signal<Row[] | null>(null);
export const offered = signal<Row[]>([]);
export const open = signal<Row[] | null>(null);
export const inbox = signal<Inbox | null>(null);
/** What I offered and nobody has chosen from. */
export const choices = signal<OpenOffer[]>([]);
export const incidents = signal<Incident[]>([]);
/** Whether a gift is given now: compensation answered when it was asked last. Otherwise it is kept as a draft. */
export const online = computed(() => !away.value.has("compensation"));
/** One sentence on top of the screen, such as why something did not work; empty for none. */
export const notice = signal<string>("");

/** What has no word of a guest is on the device too, so that the app opens without a network. */
function kept<T>(name: string): T | null {
  try {
    return JSON.parse(localStorage.getItem(name) ?? "null") as T | null;
  } catch {
    return null;
  }
}

function keep(name: string, value: unknown): void {
  localStorage.setItem(name, JSON.stringify(value));
}

/** Run what asks a service; whether it answered. Being away is shown, see `away`, and is no fault. */
export async function heard(asking: () => Promise<void>): Promise<boolean> {
  try {
    await asking();
    return true;
  } catch (fault) {
    if (fault instanceof Away || fault instanceof Refused) return false;
    throw fault;
  }
}

/** What is said of a refusal: its own words, where there are any here. */
export const refusal = (type: string): string => say(known(`app.refused.${type}`) ? `app.refused.${type}` : "app.refused.other");

/** Run a write; says why it did not work, of a refusal by `why`, and returns whether it did. */
export async function done(
  work: () => Promise<unknown>,
  why: (type: string) => string = () => say("app.refused.other"),
): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (fault) {
    if (fault instanceof Away) notice.value = say("app.away");
    else if (fault instanceof Refused) notice.value = why(fault.problem.type);
    else throw fault;
    return false;
  }
}

/** Ask what the first screen shows. */
export async function refresh(): Promise<void> {
  const spoken = language.value;
  await Promise.all([
    heard(async () => {
      const found = await read<Me>("compensation", "me", spoken);
      const another = me.value !== null && me.value.employee_id !== found.employee_id;
      if (another) forget_the_last();
      me.value = found;
      keep("me", found);
      // What was heard beside this was forgotten too.
      if (another) await refresh();
    }),
    heard(async () => {
      site.value = await read<Site>("compensation", "site", spoken);
      keep("site", site.value);
    }),
    hear_authority(),
    hear_choices(),
    heard(async () => {
      mine.value = (await read<{ complaints: Row[] }>("complaints", "complaints?view=mine", spoken)).complaints;
    }),
    heard(async () => {
      offered.value = (await read<{ complaints: Row[] }>("complaints", "complaints?view=offered", spoken)).complaints;
    }),
    heard(async () => {
      inbox.value = await read<Inbox>("notifier", "me/inbox", spoken);
    }),
    heard(async () => {
      incidents.value = (await read<{ incidents: Incident[] }>("compensation", "incidents", spoken)).incidents;
    }),
  ]);
}

export async function hear_choices(): Promise<void> {
  await heard(async () => {
    choices.value = (await read<{ offers: OpenOffer[] }>("compensation", "offers", language.value)).offers;
  });
}

export async function hear_authority(): Promise<void> {
  await heard(async () => {
    authority.value = await read<Authority>("compensation", "me/authority", language.value);
    as_of.value = Date.now();
    keep("authority", authority.value);
    keep("as_of", as_of.value);
  });
}

/** Another employee signed in here: nothing of the one before is shown. */
function forget_the_last(): void {
  for (const one of ["me", "authority", "as_of"]) localStorage.removeItem(one);
  authority.value = mine.value = open.value = inbox.value = null;
  offered.value = [];
  choices.value = [];
}

/** Of my own windows, the one in which the least is left. */
export const tightest = <T extends { scope: string; left_minor: number }>(scopes: readonly T[]): T | undefined =>
  scopes.filter((one) => one.scope.startsWith("employee_")).toSorted((a, b) => a.left_minor - b.left_minor)[0];
