import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";
import { words } from "./words.ts";

export const DIST = join(import.meta.dirname, "dist");
/** What an opening of the app may load, compressed: a minute of patience is two seconds on a slow line. */
const FIRST_LOAD_MAX = 60 * 1024;

/** Writes each file's twin compressed by gzip, and fails if the first load is too large. */
function measured(): Plugin {
  return {
    name: "measured",
    apply: "build",
    closeBundle() {
      let total = 0;
      for (const name of readdirSync(DIST, { recursive: true, encoding: "utf-8" })) {
        if (!/\.(js|css|html|webmanifest|svg)$/.test(name)) continue;
        const zipped = gzipSync(readFileSync(join(DIST, name)), { level: 9 });
        writeFileSync(join(DIST, `${name}.gz`), zipped);
        total += zipped.length;
      }
      if (total > FIRST_LOAD_MAX) this.error(`the app is ${total} bytes compressed, more than ${FIRST_LOAD_MAX}`);
      console.log(`the app is ${total} bytes compressed, of ${FIRST_LOAD_MAX}`);
    },
  };
}

export default defineConfig({
  root: import.meta.dirname,
  publicDir: "public",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  plugins: [words(), measured()],
  build: {
    outDir: DIST,
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: { input: { app: join(import.meta.dirname, "app", "index.html") } },
  },
});
