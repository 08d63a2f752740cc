/** The build's view of shared/words: one module per language with what the app says, checked for missing keys. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Plugin } from "vite";

const WORDS = join(import.meta.dirname, "..", "shared", "words");
const SOURCES = join(import.meta.dirname, "src");
export const LANGUAGES = ["nb", "sv", "da", "en"] as const;
/** The groups of a file that the app reads; the others are letters and pages. */
const GROUPS = ["app", "category"];
const PLURALS = new Set(["zero", "one", "two", "few", "many", "other"]);

type Text = string | Record<string, string>;
interface Group {
  [name: string]: string | Group;
}

/** Every text of the app in a language, by dotted key; forms by plural category are one text. */
export function textsOf(language: string): Record<string, Text> {
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
  for (const name of GROUPS) walk(file[name] as Group, `${name}.`);
  return found;
}

/** Keys that the sources say; of a key with a value in it, the part before the value. */
export function keysSaid(): { whole: Set<string>; beginnings: Set<string> } {
  const whole = new Set<string>();
  const beginnings = new Set<string>();
  for (const name of readdirSync(SOURCES, { recursive: true, encoding: "utf-8" })) {
    if (!/\.tsx?$/.test(name) || name.endsWith(".d.ts")) continue;
    const source = readFileSync(join(SOURCES, name), "utf-8");
    for (const [, key] of source.matchAll(/"((?:app|category)\.[a-z_.]+)"/g)) whole.add(key as string);
    for (const [, key] of source.matchAll(/`((?:app|category)\.[a-z_.]*)\$\{/g)) beginnings.add(key as string);
  }
  return { whole, beginnings };
}

/** What is missing, one line each; the build fails with them. */
export function missing(): string[] {
  const said = keysSaid();
  const found: string[] = [];
  const all = new Set(LANGUAGES.flatMap((one) => Object.keys(textsOf(one))));
  for (const language of LANGUAGES) {
    const texts = textsOf(language);
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
      return `export default ${JSON.stringify(textsOf(id.slice("\0words:".length)))}`;
    },
  };
}
