/** A board that nobody used for too long on a shared device shows nothing, although it goes on by itself. */
import { signal } from "@preact/signals";
import { Away, forget, Refused, SIGN_IN, type SignedIn, signed_in } from "../api";
import { is_over, used } from "../use";
import { board, group } from "./live";

/** Whether only the way to sign in is shown. */
export const locked = signal(false);

/** Whoever reads a live board asks for nothing: `web` hears of it within a minute. */
const TELL_MS = 60_000;
let session: SignedIn | null = null;
let told_at = 0;

/** Lock when it is time: what is in memory goes too. Whether it is locked. */
export function look(): boolean {
  if (session && !locked.value && is_over(session, Date.now())) {
    locked.value = true;
    board.value = group.value = null;
    forget();
  }
  return locked.value;
}

/** Lock when it is time, and tell `web` that somebody uses the board. */
export async function keep(): Promise<void> {
  if (look() || (session && (used() <= told_at || Date.now() - told_at < TELL_MS))) return;
  told_at = Date.now();
  try {
    session = await signed_in();
  } catch (fault) {
    if (!(fault instanceof Away || fault instanceof Refused)) throw fault;
  }
}

/** Nobody is signed in any more: lock if that is why, else lead to the sign-in. */
export function leave(): void {
  if (!look()) location.assign(SIGN_IN);
}
