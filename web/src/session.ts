/** Who is signed in at this device, until when, and the key of their drafts, which is in memory alone. */
import { signal } from "@preact/signals";
import { Away, Refused, SIGN_IN, signed_in_with_key } from "./api";
import { closer, type Keys, opener } from "./drafts/keys";
import { is_over, touch } from "./use";

/** What the device keeps of a session: nothing that opens anything. */
export interface Session {
  subject: string;
  ends_at: string;
  /** How long it may stand unused, in seconds; null on a device that nobody else uses. */
  idle_s: number | null;
  closes: JsonWebKey;
}

let session = JSON.parse(localStorage.getItem("session") ?? "null") as Session | null;
let opens: CryptoKey | null = null;

const over = (): boolean => is_over(session, Date.now());

/** Whether only the way to sign in is shown. */
export const locked = signal(over());

/** Whether it was asked, since the page was opened, who is signed in. */
export const asked = signal(false);

/** The keys of the drafts of whoever is signed in. */
export function keys(): Keys {
  if (!session) throw new Error("nobody is signed in");
  return { employee: session.subject, closes: session.closes, opens };
}

/** Lock when it is time: what is in memory goes with the page. Whether it is locked. */
export function look(): boolean {
  if (!over()) return false;
  if (!locked.value) location.reload();
  return true;
}

/** Somebody uses the app. */
export function use(): void {
  if (!look()) touch();
}

/** Ask who is signed in, and for the key. Away changes nothing. */
export async function hear_session(): Promise<void> {
  try {
    const told = await signed_in_with_key();
    const before = session;
    if (opens && told.subject !== before?.subject) return location.reload();
    if (before && over() && told.ends_at === before.ends_at) return location.assign(SIGN_IN);
    opens = await opener(told.key);
    session = { subject: told.subject, ends_at: told.ends_at, idle_s: told.idle_s, closes: closer(told.key) };
    localStorage.setItem("session", JSON.stringify(session));
    if (told.ends_at !== before?.ends_at) touch();
    locked.value = over();
  } catch (fault) {
    if (!(fault instanceof Away || fault instanceof Refused)) throw fault;
  } finally {
    asked.value = true;
  }
}
