/** The second build: the app's service worker, which knows by name everything that the first one wrote for the app. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { defineConfig } from "vite";
import { DIST, filesOf } from "./faces.ts";

const still = readdirSync(join(DIST, "app"), { encoding: "utf-8" })
  .filter((name) => /\.(webmanifest|svg)$/.test(name))
  .map((name) => `app/${name}`);
const built = [...filesOf("app"), ...still]
  .map((name) => ({
    // The page is asked for by its folder; names with a hash need no revision.
    url: name === "app/index.html" ? "/app/" : `/${name}`,
    revision: name.startsWith("assets/")
      ? null
      : createHash("sha256").update(readFileSync(join(DIST, name))).digest("hex").slice(0, 16),
  }));

export default defineConfig({
  root: import.meta.dirname,
  publicDir: false,
  define: { BUILT: JSON.stringify(built), "process.env.NODE_ENV": '"production"' },
  plugins: [
    {
      name: "zipped",
      closeBundle() {
        const path = join(DIST, "app", "worker.js");
        writeFileSync(`${path}.gz`, gzipSync(readFileSync(path), { level: 9 }));
      },
    },
  ],
  build: {
    outDir: DIST,
    emptyOutDir: false,
    target: "es2022",
    lib: { entry: join(import.meta.dirname, "src", "worker.ts"), formats: ["es"], fileName: () => "app/worker.js" },
  },
});
