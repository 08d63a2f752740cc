/** What a face asks of the services: same origin, with the session's cookie; a lost session leads to the sign-in. */
import { signal } from "@preact/signals";
import type { components as Audit } from "./contracts/audit";
import type { components as Compensation } from "./contracts/compensation";
import type { components as Complaints } from "./contracts/complaints";
import type { components as Notifier } from "./contracts/notifier";
import { idle } from "./use";

type C = Compensation["schemas"];
export type Me = C["MeShown"];
export type Authority = C["MyAuthority"];
export type Site = C["SiteShown"];
export type Options = C["OptionsShown"];
export type Option = Omit<C["TitledOption"], "cost_minor">;
export type Wish = C["IssueCheck"];
export type Given = C["GivenCheck"];
export type DoesNotFit = C["DoesNotFit"];
export type Check = C["CheckSummary"];
export type Offered = C["OfferedChecks"];
export type OpenOffer = C["OpenOffer"];
export type Held = C["RedemptionReserved"];
export type Captured = C["RedemptionCaptured"];
export type Problem = C["Problem"];
export type Category = C["Category"];
export type Incident = C["IncidentShown"];
export type Policy = C["ShownPolicy"];
export type PolicySchema = C["PolicySchema"];
export type Tried = C["PolicyTried"];
type D = Complaints["schemas"];
export type Row = D["ComplaintRow"];
export type Complaint = D["ShownComplaint"];
export type Playbook = D["ShownPlaybook"];
export type Entry = D["TimelineEntry"];
export type Causes = D["ShownCauses"];
export type Colleagues = D["Colleagues"];
export type Inbox = Notifier["schemas"]["MyInbox"];
type A = Audit["schemas"];
export type Board = A["Board"];
export type Boards = A["Group"];
export type Figure = A["FigureOnBoard"];
export type Budget = A["BudgetOnBoard"];
export type AtRisk = A["PromiseOnBoard"];
export type Measures = A["ShownMeasures"];
export type Measure = A["ShownMeasure"];
export type Stretches = A["StretchList"];
export type Signals = A["SignalList"];
export type Signal = A["SignalShown"];
export type Seen = A["PersonSeen"];

export type Service = "audit" | "complaints" | "compensation" | "notifier";
/** The sign-in, which leads back to this face. */
export const SIGN_IN = `/sign-in?next=${encodeURIComponent(location.pathname)}`;
/** `web` itself is asked too. */
type Asked = Service | "web";
/** Who did not answer when they were asked last: no network, or a service that is down; each screen looks at whom it asks. */
export const away = signal<ReadonlySet<Asked>>(new Set(navigator.onLine ? [] : ["audit", "complaints", "compensation", "notifier", "web"]));

function note(asked: Asked, answered: boolean): void {
  if (away.value.has(asked) !== answered) return;
  const others = [...away.value].filter((one) => one !== asked);
  away.value = new Set(answered ? others : [...others, asked]);
}

/** How long a request may take. A write that took longer may have happened: it is repeated with its key. */
const TIMEOUT_MS = 15_000;

/** The service did not answer, or said that it cannot now: the same again later, with the same key. Its message is the status. */
export class Away extends Error {}

/** The service refused; `problem` says why. */
export class Refused extends Error {
  constructor(readonly problem: Problem) {
    super(problem.type);
  }
}

/** What is done where nobody is signed in any more. */
let on_end = (): void => location.assign(SIGN_IN);

/** Do this instead of leading to the sign-in at once. */
export function when_signed_out(what: () => void): void {
  on_end = what;
}

/** Nobody is signed in any more. */
export const signed_out = (): void => on_end();

/** Answers by ETag, so that an unchanged one is a 304 of a few bytes; gone with the page. */
const KNOWN_MAX = 100;
const known = new Map<string, { tag: string; body: unknown }>();

async function ask(asked: Asked, path: string, init: RequestInit = {}): Promise<Response> {
  const url = asked === "web" ? path : `/api/${asked}/v1/${path}`;
  const headers = { ...idle(), ...init.headers };
  let answer: Response;
  try {
    answer = await fetch(url, { ...init, headers, cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS) });
  } catch {
    note(asked, false);
    throw new Away("no answer");
  }
  if (answer.status === 401) {
    signed_out();
    throw new Away("signed out");
  }
  // 409 with Retry-After is a repeat that met its original under way.
  const later = answer.status >= 500 || answer.status === 429 || answer.status === 408 || answer.headers.has("retry-after");
  note(asked, !later);
  if (later) throw new Away(String(answer.status));
  if (!answer.ok && answer.status !== 304) throw new Refused((await answer.json()) as Problem);
  return answer;
}

/** The session, as `web` tells it. */
export interface SignedIn {
  subject: string;
  ends_at: string;
  idle_s: number | null;
}

/** Who is signed in; throws Away or Refused. */
export async function signed_in(): Promise<SignedIn> {
  return (await (await ask("web", "/session")).json()) as SignedIn;
}

/** The same, with the key that opens the person's drafts; throws Away or Refused. */
export async function signed_in_with_key(): Promise<SignedIn & { key: JsonWebKey }> {
  return (await (await ask("web", "/session/key")).json()) as SignedIn & { key: JsonWebKey };
}

/** Forget what was answered: somebody else may be at the device. */
export const forget = (): void => known.clear();

/** End the session; where the browser goes on, or null if it did not end. */
export async function sign_out(): Promise<string | null> {
  const answer = await fetch("/sign-out", { method: "POST" }).catch(() => null);
  return answer?.ok ? ((await answer.json()) as { next: string }).next : null;
}

/** Read `/api/<service>/v1/<path>`; throws Away or Refused. */
export const read = async <T>(service: Service, path: string, language: string): Promise<T> =>
  (await read_tagged<T>(service, path, language)).body;

/** The same with its ETag, for a write that says what it changes. */
export async function read_tagged<T>(service: Service, path: string, language: string): Promise<{ body: T; tag: string }> {
  const name = `${language} ${service} ${path}`;
  const before = known.get(name);
  const headers: Record<string, string> = { "Accept-Language": language };
  if (before) headers["If-None-Match"] = before.tag;
  const answer = await ask(service, path, { headers });
  if (answer.status === 304 && before) return { body: before.body as T, tag: before.tag };
  const body = (await answer.json()) as T;
  const tag = answer.headers.get("etag") ?? "";
  if (known.size >= KNOWN_MAX) known.clear();
  if (tag) known.set(name, { tag, body });
  return { body, tag };
}

/** Write once per `key`, however often it is repeated, in place of what has the ETag `tag` if there is one; throws Away or Refused. */
export async function write<T>(service: Service, path: string, body: unknown, key: string, language: string, tag = ""): Promise<T> {
  const headers: Record<string, string> = { "Content-Type": "application/json", "Idempotency-Key": key, "Accept-Language": language };
  if (tag) headers["If-Match"] = tag;
  const answer = await ask(service, path, { method: tag ? "PUT" : "POST", headers, body: JSON.stringify(body) });
  return (await answer.json()) as T;
}

/** Keys of writes that were not answered, so that the same tap again is the same write; few, as answers end them. */
const unanswered = new Map<string, string>();

/** Write what one tap asks for: after no answer, the same tap again changes nothing more; throws Away or Refused. */
export async function tap<T>(service: Service, path: string, body: unknown, language: string, tag = ""): Promise<T> {
  const name = `${service} ${path} ${tag} ${JSON.stringify(body)}`;
  const key = unanswered.get(name) ?? crypto.randomUUID();
  unanswered.set(name, key);
  try {
    const answer = await write<T>(service, path, body, key, language, tag);
    unanswered.delete(name);
    return answer;
  } catch (fault) {
    if (!(fault instanceof Away)) unanswered.delete(name);
    throw fault;
  }
}
