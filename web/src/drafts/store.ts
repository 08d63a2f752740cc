/** Drafts on the device: sealed, one employee's never opened for another. */
import { type IDBPDatabase, openDB } from "idb";
import { type Keys, open, type Sealed, seal } from "./keys";
import { type Draft, ENDS_AFTER_MS, GONE_AFTER_MS, is_done } from "./rules";

export type Database = IDBPDatabase;

/** What is on the device of one draft. */
interface Kept extends Sealed {
  employee: string;
  /** When it was made, in milliseconds. */
  made: number;
  /** Whether it was answered. */
  done: boolean;
}

/** The first version sealed under keys that lay beside the drafts. */
const VERSION = 2;

export const opened = (): Promise<Database> =>
  openDB("service-check", VERSION, {
    upgrade(database) {
      for (const name of [...database.objectStoreNames]) database.deleteObjectStore(name);
      database.createObjectStore("drafts");
    },
  });

export class DraftStore {
  constructor(
    private readonly database: Database,
    private readonly keys: Keys,
  ) {}

  /** Keep a draft; when this returns it outlives a reload. */
  async put(draft: Draft): Promise<void> {
    const { made } = draft;
    const kept = { employee: this.keys.employee, made, done: is_done(draft), ...(await seal(this.keys, JSON.stringify(draft))) };
    await this.database.put("drafts", kept satisfies Kept, draft.key);
  }

  /** This employee's drafts, the newest first, how many more wait that cannot be opened now, and how many of others wait. */
  async all(): Promise<{ drafts: Draft[]; sealed: number; others: number }> {
    const kept = (await this.database.getAll("drafts")) as Kept[];
    const mine = kept.filter((one) => one.employee === this.keys.employee);
    const still = (one: Kept): boolean => !one.done && Date.now() - one.made < ENDS_AFTER_MS;
    const others = kept.filter((one) => one.employee !== this.keys.employee && still(one)).length;
    const drafts: Draft[] = [];
    let sealed = 0;
    for (const one of mine) {
      const words = await open(this.keys, one);
      if (words !== null) drafts.push(JSON.parse(words) as Draft);
      else if (!one.done) sealed += 1;
    }
    return { drafts: drafts.sort((a, b) => b.made - a.made), sealed, others };
  }

  /** Whether a draft is still here. */
  async has(key: string): Promise<boolean> {
    return (await this.database.getKey("drafts", key)) !== undefined;
  }

  drop(key: string): Promise<void> {
    return this.database.delete("drafts", key);
  }

  /** Let go what nobody is shown any more, whoever made it. */
  async tidy(now: number): Promise<void> {
    for (const key of await this.database.getAllKeys("drafts")) {
      const one = (await this.database.get("drafts", key)) as Kept | undefined;
      if (one && now - one.made >= GONE_AFTER_MS) await this.database.delete("drafts", key);
    }
  }
}
