/** Measures of a site over some days, asked for again while they are looked at. */
import { useEffect, useState } from "preact/hooks";
import { Away, type Measures, read, Refused } from "../api";
import { language } from "../words";
import { now } from "./live";

/** How old what is of several days may get; the numbers of today are live. */
const AGAIN_MS = 60_000;

/** A day (UTC), so many days before today, like 2026-06-03. */
export const day_before = (days: number): string => new Date(now.peek() - days * 86_400_000).toISOString().slice(0, 10);

export type Asked = { site: string; names: readonly string[]; from: string; to: string; assumed?: Record<string, number> };

export async function hear_measures({ site, names, from, to, assumed = {} }: Asked): Promise<Measures> {
  const query = new URLSearchParams([
    ["site", site],
    ["from", from],
    ["to", to],
    ...names.map((one) => ["measure", one]),
    ...Object.entries(assumed).map(([name, value]) => [name, String(value)]),
  ]);
  return read<Measures>("audit", `measures?${query}`, language.value);
}

/** What `asking` answered last, asked again each minute and whenever `of` changes; null until the first answer. */
export function useHeard<T>(asking: () => Promise<T>, of: string): T | null {
  const [heard, hear] = useState<T | null>(null);
  useEffect(() => {
    let wanted = true;
    const ask = async (): Promise<void> => {
      try {
        const what = await asking();
        if (wanted) hear(() => what);
      } catch (fault) {
        // The board says by itself that nothing answers; what is refused is not shown.
        if (!(fault instanceof Away) && !(fault instanceof Refused)) throw fault;
      }
    };
    void ask();
    const again = setInterval(() => void ask(), AGAIN_MS);
    return () => {
      wanted = false;
      clearInterval(again);
    };
  }, [of]);
  return heard;
}
