/** When somebody used this device last: what a page asks for by itself is no use of it. */

/** What a person does at a page. */
const SIGNS = ["pointerdown", "keydown", "wheel"];
/** Wheels turn often; this is exact enough. */
const EXACT_MS = 1_000;

/** When, in milliseconds; other pages of ours at this device know it too. */
export const used = (): number => Number(localStorage.getItem("used") ?? 0);

/** Somebody uses the device now. */
export function touch(): void {
  if (Date.now() - used() >= EXACT_MS) localStorage.setItem("used", String(Date.now()));
}

/** Call `one` at every sign of a person. */
export function watch(one: () => void): void {
  for (const sign of SIGNS) addEventListener(sign, one, { passive: true, capture: true });
}

/** For `web`, which lets a session on a shared device end by it. */
export const idle = (): Record<string, string> => ({ "Idle-S": String(Math.max(0, Math.floor((Date.now() - used()) / 1000))) });

/** Whether somebody must sign in before anything is shown: also without a network. `idle_s` is null on a device of one person's own. */
export function is_over(session: { ends_at: string; idle_s: number | null } | null, now: number): boolean {
  if (!session || now >= Date.parse(session.ends_at)) return true;
  return session.idle_s !== null && now - used() >= session.idle_s * 1000;
}
