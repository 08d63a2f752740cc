/** What the opening of a face loads, by the manifest of the build: its page, and every script and style that it leads to. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

export const DIST = join(import.meta.dirname, "dist");
export const FACES = ["app", "board"] as const;
export type Face = (typeof FACES)[number];
/** What a face loads when somebody wants it, and not when it is opened. */
const LATER = ["src/board/whatif.tsx"];

interface Chunk {
  file: string;
  css?: string[];
  imports?: string[];
  dynamicImports?: string[];
}

/** The files that the opening of a face loads, below `dist`; reads the manifest that the build wrote. */
export function filesOf(face: Face): string[] {
  const chunks = JSON.parse(readFileSync(join(DIST, ".vite", "manifest.json"), "utf-8")) as Record<string, Chunk>;
  const page = `${face}/index.html`;
  const seen = new Set<string>();
  const files = new Set([page]);
  const follow = (name: string): void => {
    const chunk = chunks[name];
    if (!chunk || seen.has(name) || LATER.includes(name)) return;
    seen.add(name);
    for (const file of [chunk.file, ...(chunk.css ?? [])]) files.add(file);
    for (const next of [...(chunk.imports ?? []), ...(chunk.dynamicImports ?? [])]) follow(next);
  };
  follow(page);
  return [...files];
}
