/** The gift that is being given: what the employee typed, and the options that were asked for. */
import { signal } from "@preact/signals";
import { read, Refused, type Category, type Option, type Options, type Site, type Wish } from "./api";
import { as_of, heard, notice, site } from "./desk";
import { give } from "./drafts/giving";
import { replace } from "./route";
import { language, say, type Language } from "./words";

/** The guest's booking or card number, as typed or scanned; empty for none. */
export const booking = signal("");
export const note = signal("");
export const email = signal("");
export const phone = signal("");
/** The guest's language, as chosen or as their complaint has it; undefined for that of the site. */
export const spoken = signal<Language | undefined>(undefined);
export const asked = signal<{ name: string; found: Options | null } | null>(null);

/** Forget what was typed on the sheet, which nobody sees on the first screen: the next guest is another one. */
export function forget_sheet(): void {
  note.value = email.value = phone.value = "";
  spoken.value = undefined;
}

/** Forget what was typed about a guest. */
export function begin(): void {
  forget_sheet();
  booking.value = "";
  asked.value = null;
}

const name_of = (reason: string, complaint: string): string => `${language.value} ${reason} ${complaint} ${booking.value}`;

/** What may be given now; without a network, what the catalogue has for the reason. */
export async function ask_options(reason: string, complaint: string): Promise<void> {
  const name = name_of(reason, complaint);
  if (asked.value?.name !== name) asked.value = { name, found: null };
  // An answer that comes late is for another screen.
  const show = (found: Options | null): void => {
    if (asked.value?.name === name) asked.value = { name, found };
  };
  const query = new URLSearchParams({ reason });
  if (complaint) query.set("complaint", complaint);
  else if (booking.value) query.set("customer", booking.value);
  const answered = await heard(async () => {
    try {
      show(await read<Options>("compensation", `options?${query}`, language.value));
    } catch (fault) {
      if (fault instanceof Refused) notice.value = say("app.refused.other");
      throw fault;
    }
  });
  if (!answered && !asked.value?.found) show(from_catalogue(reason as Category));
}

function from_catalogue(reason: Category): Options | null {
  if (!site.value || !as_of.value) return null;
  const entries = site.value.catalogue;
  const fits = (one: Entry): boolean => one.fits.length === 0 || one.fits.includes(reason);
  const sorted = [...entries.filter(fits), ...entries.filter((one) => !fits(one))];
  return {
    reason,
    severity: "moderate",
    options: sorted.flatMap((one) => one.options.map((option) => ({ ...option, title: one.title }))),
    left: [],
    history: [],
    incident: null,
    regime: null,
    information: null,
  };
}

type Entry = Site["catalogue"][number];

/** The entry of an item, which may name an amount behind a slash; undefined while the catalogue is not known. */
const entry_of = (item: string): Entry | undefined => site.value?.catalogue.find((one) => one.item === item.split("/")[0]);

/** How long an item is valid, in seconds, if the catalogue is known. */
export const valid_s = (item: string): number | undefined => entry_of(item)?.valid_s;

/** What an option is called in the employee's language; answers to a gift speak the guest's. */
export const title_here = (one: Option): string => entry_of(one.item)?.title ?? one.title;

/** The option as it was asked for; offline and after a reload, as the catalogue has it. */
export function option_of(item: string, options: Option[] | undefined): Option | undefined {
  const entry = entry_of(item);
  const kept = entry?.options.find((one) => one.item === item);
  return options?.find((one) => one.item === item) ?? (entry && kept && { ...kept, title: entry.title });
}

/** The language in which the guest is spoken to. */
export const guests_language = (): Language => spoken.value ?? site.value?.languages[0] ?? language.value;

/** The wish for a chosen option, with what was typed. */
export function wish_for(option: Option, reason: Category, complaint: string, incident?: string): Wish {
  const base = { item: option.item, reason, currency: option.currency };
  if (complaint) return { ...base, complaint_id: complaint, ...(incident ? { incident_id: incident } : {}) };
  const contact = { ...(email.value ? { email: email.value } : {}), ...(phone.value ? { phone: phone.value } : {}) };
  return {
    ...base,
    on_the_spot: {
      ...(note.value ? { text: note.value } : {}),
      ...(booking.value ? { customer: booking.value } : {}),
      ...(Object.keys(contact).length ? { contact } : {}),
      language: guests_language(),
    },
  };
}

/** Give what is seen as this to a guest of a language, and show what became of it. */
export async function give_and_show(wish: Wish, seen: { title: string; worth: string }, guests: string = guests_language()): Promise<void> {
  const draft = await give(wish, { ...seen, language: guests });
  if (draft.given) replace("done", draft.key);
  else if (draft.unfit || draft.refused) replace("limit", draft.key);
  else replace("drafts");
  begin();
}
