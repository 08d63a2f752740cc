/** What the board knows: the boards of my sites, the one that is followed, and whether it is as it is now. */
import { computed, signal } from "@preact/signals";
import { Away, type Board, type Boards, read, Refused, signed_out } from "../api";
import { route } from "../route";
import { idle } from "../use";
import { language } from "../words";

/** All my sites as they were when the page was opened, or when all of them were looked at last. */
export const group = signal<Boards | null>(null);
/** The site that is looked at, with everything on its board. */
export const board = signal<Board | null>(null);
/** When something was heard from the service last, in milliseconds. */
export const heard_at = signal<number>(0);
/** Whether `board` is what the service would answer now. */
export const live = signal<boolean>(false);
/** Why nothing is shown: somebody else's page, or no answer; empty while there is something. */
export const trouble = signal<"" | "not_manager" | "away" | "no_policy">("");
/** Now, to a quarter of a minute, for what counts down. */
export const now = signal<number>(Date.now());

const KEPT = "site";
/** When `group` was heard, in milliseconds. */
let group_at = 0;
/** The service says something every ten seconds; after this long without, the line is dead. */
const SILENT_MS = 25_000;
/** Until a stream that ended is asked for again, and the longest wait after attempts that failed. */
const AGAIN_MS = 500;
const AGAIN_MAX_MS = 15_000;

/** The site in the address, or the one that was looked at last, or the first. */
export const site = computed<string>(() => {
  const mine = group.value?.boards.map((one) => one.site) ?? [];
  const wanted = [route.value[1] ?? "", localStorage.getItem(KEPT) ?? ""].find((one) => mine.includes(one));
  return wanted ?? mine[0] ?? "";
});

/** Ask for the boards of all my sites. */
export async function hear_group(): Promise<void> {
  try {
    group.value = await read<Boards>("audit", "board", language.value);
    group_at = Date.now();
    trouble.value = group.value.boards.length ? "" : "no_policy";
  } catch (fault) {
    if (fault instanceof Refused) trouble.value = "not_manager";
    else if (fault instanceof Away) trouble.value = group.value ? "" : "away";
    else throw fault;
  }
}

/** Ask until it is known which sites are mine, or that none is. */
export async function begin(): Promise<void> {
  const never = new AbortController().signal;
  for (let failed = 1; ; failed += 1) {
    await hear_group();
    if (trouble.value !== "away") return;
    await pause(Math.min(AGAIN_MS * 2 ** failed, AGAIN_MAX_MS), never);
  }
}

/** Follow the board of a site until `leaving`; what is heard is in `board`, and how fresh it is in `live`. */
export async function follow(wanted: string, leaving: AbortSignal): Promise<void> {
  localStorage.setItem(KEPT, wanted);
  board.value = group.value?.boards.find((one) => one.site === wanted) ?? null;
  heard_at.value = board.value ? group_at : 0;
  live.value = false;
  for (let failed = 0; !leaving.aborted; failed += 1) {
    const heard = await listen(wanted, leaving);
    if (leaving.aborted) return;
    if (heard) failed = 0;
    // A stream ends with its token: the next one is there before anybody reads a number.
    else live.value = false;
    await pause(Math.min(AGAIN_MS * 2 ** failed, AGAIN_MAX_MS), leaving);
  }
}

/** Hear one stream to its end, however it ends; whether anything was heard. */
async function listen(wanted: string, leaving: AbortSignal): Promise<boolean> {
  const silence = new AbortController();
  let heard = false;
  let watch = setTimeout(() => silence.abort(), SILENT_MS);
  try {
    const answer = await fetch(`/api/audit/v1/board/${encodeURIComponent(wanted)}/stream`, {
      headers: { Accept: "text/event-stream", ...idle() },
      cache: "no-store",
      signal: AbortSignal.any([leaving, silence.signal]),
    });
    if (answer.status === 401) signed_out();
    if (!answer.ok || !answer.body) return false;
    const lines = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let rest = "", part = await lines.read(); !part.done; part = await lines.read()) {
      clearTimeout(watch);
      watch = setTimeout(() => silence.abort(), SILENT_MS);
      const events = (rest + part.value).split("\n\n");
      rest = events.pop() ?? "";
      const shown = events.flatMap(data_of).at(-1);
      if (shown) board.value = JSON.parse(shown) as Board;
      heard_at.value = Date.now();
      live.value = heard = board.value !== null;
    }
  } catch (fault) {
    // The line broke, was silent, or is not wanted any more.
    if (!(fault instanceof TypeError) && !(fault instanceof DOMException)) throw fault;
    live.value = false;
  } finally {
    clearTimeout(watch);
  }
  return heard;
}

/** The data of an event; none of a comment, which only says that the service is there. */
function data_of(event: string): string[] {
  const data = event.split("\n").filter((line) => line.startsWith("data:"));
  return data.length ? [data.map((line) => line.slice(5).trimStart()).join("\n")] : [];
}

function pause(by_ms: number, leaving: AbortSignal): Promise<void> {
  return new Promise((done) => {
    const end = (): void => {
      clearTimeout(timer);
      removeEventListener("online", end);
      leaving.removeEventListener("abort", end);
      done();
    };
    const timer = setTimeout(end, by_ms);
    addEventListener("online", end);
    leaving.addEventListener("abort", end);
  });
}
