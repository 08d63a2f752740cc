/** Where the key comes from that drafts are sealed under: a port. */
import type { Database } from "./store";

export interface Keys {
  /** The key of an employee; the same one each time until it is destroyed. */
  of(employee: string): Promise<CryptoKey>;
}

/**
 * A key of the device for each employee, which no script can export.
 *
 * A sign-out clears the browser's storage and the key with it, so that a copy of the drafts says nothing. It stands
 * in for a key that the server keeps for the session: with this one, whoever holds the unlocked device before the
 * sign-out could have the page itself open the drafts.
 */
export class DeviceKeys implements Keys {
  constructor(private readonly database: Database) {}

  async of(employee: string): Promise<CryptoKey> {
    const found = (await this.database.get("keys", employee)) as CryptoKey | undefined;
    if (found) return found;
    const made = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
    await this.database.put("keys", made, employee);
    return made;
  }
}
