/** Drafts on the device: sealed, one employee's never opened for another. */
import { type IDBPDatabase, openDB } from "idb";
import type { Keys } from "./keys";
import type { Draft } from "./rules";

export type Database = IDBPDatabase;

interface Sealed {
  employee: string;
  iv: Uint8Array<ArrayBuffer>;
  words: ArrayBuffer;
}

export const opened = (): Promise<Database> =>
  openDB("service-check", 1, {
    upgrade(database) {
      database.createObjectStore("drafts");
      database.createObjectStore("keys");
    },
  });

export class DraftStore {
  constructor(
    private readonly database: Database,
    private readonly keys: Keys,
    readonly employee: string,
  ) {}

  /** Keep a draft; when this returns it outlives a reload. */
  async put(draft: Draft): Promise<void> {
    const iv = crypto.getRandomValues(new Uint8Array(12));
    const key = await this.keys.of(this.employee);
    const words = await crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, new TextEncoder().encode(JSON.stringify(draft)));
    await this.database.put("drafts", { employee: this.employee, iv, words } satisfies Sealed, draft.key);
  }

  /** This employee's drafts, the newest first. */
  async all(): Promise<Draft[]> {
    const sealed = ((await this.database.getAll("drafts")) as Sealed[]).filter((one) => one.employee === this.employee);
    const key = await this.keys.of(this.employee);
    const found = await Promise.all(
      sealed.map(async ({ iv, words }) => {
        const bytes = await crypto.subtle.decrypt({ name: "AES-GCM", iv }, key, words);
        return JSON.parse(new TextDecoder().decode(bytes)) as Draft;
      }),
    );
    return found.sort((a, b) => b.made - a.made);
  }

  drop(key: string): Promise<void> {
    return this.database.delete("drafts", key);
  }
}
