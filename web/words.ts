/** The build's view of shared/words: one module per face, or part of one, and language with what it says, checked for missing keys. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Plugin } from "vite";

const WORDS = join(import.meta.dirname, "..", "shared", "words");
const SOURCES = join(import.meta.dirname, "src");
const LANGUAGES = ["nb", "sv", "da", "en"] as const;
/** The groups of a file that each face reads, and what is loaded later; the others are letters and pages. */
const GROUPS = { app: ["app", "category"], board: ["board", "category"], whatif: ["whatif"] } as const;
const PARTS = Object.keys(GROUPS) as Part[];
type Part = keyof typeof GROUPS;
const PLURALS = new Set(["zero", "one", "two", "few", "many", "other"]);

type Text = string | Record<string, string>;
interface Group {
  [name: string]: string | Group;
}

/** Every text of a part in a language, by dotted key; forms by plural category are one text. */
function textsOf(part: Part, language: string): Record<string, Text> {
  const file = JSON.parse(readFileSync(join(WORDS, `${language}.json`), "utf-8")) as Group;
  const found: Record<string, Text> = {};
  const walk = (group: Group, prefix: string): void => {
    for (const [name, one] of Object.entries(group)) {
      if (typeof one === "string" || Object.keys(one).every((form) => PLURALS.has(form))) {
        found[prefix + name] = one as Text;
      } else {
        walk(one, `${prefix}${name}.`);
      }
    }
  };
  for (const name of GROUPS[part]) walk(file[name] as Group, `${name}.`);
  return found;
}

/** Keys that the sources say; of a key with a value in it, the part before the value. */
function keysSaid(): { whole: Set<string>; beginnings: Set<string> } {
  const whole = new Set<string>();
  const beginnings = new Set<string>();
  for (const name of readdirSync(SOURCES, { recursive: true, encoding: "utf-8" })) {
    if (!/\.tsx?$/.test(name) || name.endsWith(".d.ts")) continue;
    const source = readFileSync(join(SOURCES, name), "utf-8");
    for (const [, key] of source.matchAll(/"((?:app|board|category|whatif)\.[a-z_.]+)"/g)) whole.add(key as string);
    for (const [, key] of source.matchAll(/`((?:app|board|category|whatif)\.[a-z_.]*)\$\{/g)) beginnings.add(key as string);
  }
  return { whole, beginnings };
}

/** What is missing, one line each; the build fails with them. */
function missing(): string[] {
  const said = keysSaid();
  const found: string[] = [];
  const of = (language: string): Record<string, Text> =>
    Object.assign({}, ...PARTS.map((part) => textsOf(part, language)));
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
      const [part, language] = id.slice("\0words:".length).split("/") as [Part, string];
      return `export default ${JSON.stringify(textsOf(part, language))}`;
    },
  };
}
