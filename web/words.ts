/** The build's view of shared/words: one module per face and language with what it says, checked for missing keys. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Plugin } from "vite";
import { FACES, type Face } from "./faces.ts";

const WORDS = join(import.meta.dirname, "..", "shared", "words");
const SOURCES = join(import.meta.dirname, "src");
const LANGUAGES = ["nb", "sv", "da", "en"] as const;
/** The groups of a file that each face reads; the others are letters and pages. */
const GROUPS: Record<Face, readonly string[]> = { app: ["app", "category"], board: ["board", "category"] };
const PLURALS = new Set(["zero", "one", "two", "few", "many", "other"]);

type Text = string | Record<string, string>;
interface Group {
  [name: string]: string | Group;
}

/** Every text of a face in a language, by dotted key; forms by plural category are one text. */
function textsOf(face: Face, language: string): Record<string, Text> {
  const file = JSON.parse(readFileSync(join(WORDS, `${language}.json`), "utf-8")) as Group;
  const found: Record<string, Text> = {};
  const walk = (group: Group, prefix: string): void => {
    for (const [name, part] of Object.entries(group)) {
      if (typeof part === "string" || Object.keys(part).every((one) => PLURALS.has(one))) {
        found[prefix + name] = part as Text;
      } else {
        walk(part, `${prefix}${name}.`);
      }
    }
  };
  for (const name of GROUPS[face]) walk(file[name] as Group, `${name}.`);
  return found;
}

/** Keys that the sources say; of a key with a value in it, the part before the value. */
function keysSaid(): { whole: Set<string>; beginnings: Set<string> } {
  const whole = new Set<string>();
  const beginnings = new Set<string>();
  for (const name of readdirSync(SOURCES, { recursive: true, encoding: "utf-8" })) {
    if (!/\.tsx?$/.test(name) || name.endsWith(".d.ts")) continue;
    const source = readFileSync(join(SOURCES, name), "utf-8");
    for (const [, key] of source.matchAll(/"((?:app|board|category)\.[a-z_.]+)"/g)) whole.add(key as string);
    for (const [, key] of source.matchAll(/`((?:app|board|category)\.[a-z_.]*)\$\{/g)) beginnings.add(key as string);
  }
  return { whole, beginnings };
}

/** What is missing, one line each; the build fails with them. */
function missing(): string[] {
  const said = keysSaid();
  const found: string[] = [];
  const of = (language: string): Record<string, Text> =>
    Object.assign({}, ...FACES.map((face) => textsOf(face, language)));
  const all = new Set(LANGUAGES.flatMap((one) => Object.keys(of(one))));
  for (const language of LANGUAGES) {
    const texts = of(language);
    for (const key of new Set([...all, ...said.whole])) {
      if (!(key in texts)) found.push(`${language} ${key}: is missing`);
    }
    for (const beginning of said.beginnings) {
      if (!Object.keys(texts).some((key) => key.startsWith(beginning))) {
        found.push(`${language} ${beginning}*: is missing`);
      }
    }
  }
  return found;
}

export function words(): Plugin {
  return {
    name: "words",
    buildStart() {
      const found = missing();
      if (found.length) this.error(`words are missing:\n${found.join("\n")}`);
    },
    resolveId: (id) => (id.startsWith("words:") ? `\0${id}` : null),
    load(id) {
      if (!id.startsWith("\0words:")) return null;
      const [face, language] = id.slice("\0words:".length).split("/") as [Face, string];
      return `export default ${JSON.stringify(textsOf(face, language))}`;
    },
  };
}
