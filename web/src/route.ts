/** Which screen is shown. It stands behind the # of the address: the way back works, and no server sees an id. */
import { signal } from "@preact/signals";

const parts = (): string[] => location.hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);

/** The screen's name and what it is about, such as `case` and a complaint's id. */
export const route = signal<string[]>(parts());

export const to = (...names: string[]): string => `#/${names.map(encodeURIComponent).join("/")}`;

/** Show a screen. */
export function go(...names: string[]): void {
  location.hash = to(...names);
}

/** Show a screen in place of this one, so that the way back passes over it. */
export function replace(...names: string[]): void {
  history.replaceState(null, "", to(...names));
  route.value = parts();
}

addEventListener("hashchange", () => {
  route.value = parts();
  scrollTo(0, 0);
});
