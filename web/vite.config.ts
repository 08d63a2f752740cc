import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";
import { DIST, FACES, filesOf } from "./faces.ts";
import { words } from "./words.ts";

/** What an opening of a face may load, compressed: a minute of patience is two seconds on a slow line. */
const FIRST_LOAD_MAX = 60 * 1024;

/** Writes each file's twin compressed by gzip, and fails if the first load of a face is too large. */
function measured(): Plugin {
  return {
    name: "measured",
    apply: "build",
    closeBundle() {
      const sizes = new Map<string, number>();
      for (const name of readdirSync(DIST, { recursive: true, encoding: "utf-8" })) {
        if (!/\.(js|css|html|webmanifest|svg)$/.test(name)) continue;
        const zipped = gzipSync(readFileSync(join(DIST, name)), { level: 9 });
        writeFileSync(join(DIST, `${name}.gz`), zipped);
        sizes.set(name.replaceAll("\\", "/"), zipped.length);
      }
      for (const face of FACES) {
        const total = filesOf(face).reduce((sum, name) => sum + (sizes.get(name) ?? 0), 0);
        if (total > FIRST_LOAD_MAX) this.error(`${face} is ${total} bytes compressed, more than ${FIRST_LOAD_MAX}`);
        console.log(`${face} is ${total} bytes compressed, of ${FIRST_LOAD_MAX}`);
      }
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
    manifest: true,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      input: Object.fromEntries(FACES.map((face) => [face, join(import.meta.dirname, face, "index.html")])),
    },
  },
});
