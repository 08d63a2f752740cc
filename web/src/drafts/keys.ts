/** How drafts are sealed: whoever is at the device can close one, and only the employee's own key opens it again. */

const CURVE = { name: "ECDH", namedCurve: "P-256" } as const;
const INFO = new TextEncoder().encode("draft");
const SALT = new Uint8Array(32);

/** The two halves of one employee's key. */
export interface Keys {
  readonly employee: string;
  /** Closes; it is on the device, so that a wish is kept without a network. */
  readonly closes: JsonWebKey;
  /** Opens; it comes from the server and is in memory alone. Null until it was heard. */
  readonly opens: CryptoKey | null;
}

/** Words that were closed. */
export interface Sealed {
  /** The other half of the key that it was closed with, used once. */
  once: JsonWebKey;
  iv: Uint8Array<ArrayBuffer>;
  words: ArrayBuffer;
}

/** The half that opens, as no script can read it again. */
export const opener = (key: JsonWebKey): Promise<CryptoKey> => crypto.subtle.importKey("jwk", key, CURVE, false, ["deriveBits"]);

/** The half that closes. */
export const closer = ({ kty, crv, x, y }: JsonWebKey): JsonWebKey => ({ kty, crv, x, y }) as JsonWebKey;

/** The key of one draft, from either side of it (ECDH, RFC 5869). */
async function between(mine: CryptoKey, theirs: JsonWebKey, use: "encrypt" | "decrypt"): Promise<CryptoKey> {
  const other = await crypto.subtle.importKey("jwk", theirs, CURVE, false, []);
  const secret = await crypto.subtle.deriveBits({ name: "ECDH", public: other }, mine, 256);
  const whole = await crypto.subtle.importKey("raw", secret, "HKDF", false, ["deriveKey"]);
  const how = { name: "HKDF", hash: "SHA-256", salt: SALT, info: INFO };
  return crypto.subtle.deriveKey(how, whole, { name: "AES-GCM", length: 256 }, false, [use]);
}

/** Close words, so that nobody at the device reads them without the key that opens. */
export async function seal(keys: Keys, words: string): Promise<Sealed> {
  const pair = await crypto.subtle.generateKey(CURVE, false, ["deriveBits"]);
  const key = await between(pair.privateKey, keys.closes, "encrypt");
  const iv = crypto.getRandomValues(new Uint8Array(12));
  const closed = await crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, new TextEncoder().encode(words));
  const once = closer(await crypto.subtle.exportKey("jwk", pair.publicKey));
  return { once, iv, words: closed };
}

/** Open them again; null while the key is not here, or if it is another one. */
export async function open(keys: Keys, sealed: Sealed): Promise<string | null> {
  if (!keys.opens) return null;
  const key = await between(keys.opens, sealed.once, "decrypt");
  try {
    return new TextDecoder().decode(await crypto.subtle.decrypt({ name: "AES-GCM", iv: sealed.iv }, key, sealed.words));
  } catch (fault) {
    if (fault instanceof DOMException) return null;
    throw fault;
  }
}
