/** SHEET: the item, the guest and a note, all of which may stay empty; giving is the third tap. */
import { useState } from "preact/hooks";
import type { Category } from "../api";
import { online, site } from "../desk";
import { asked, booking, email, give_and_show, guests_language, note, option_of, phone, spoken, valid_s, wish_for } from "../gift";
import { Icon } from "../icons";
import { Choices, Nothing, Screen } from "../parts";
import { route, to } from "../route";
import { LANGUAGES, length, say, worth } from "../words";

export function Sheet({ reason, item, complaint }: { reason: string; item: string; complaint: string }) {
  const [sending, send] = useState(false);
  const incident = route.value[4];
  const found = asked.value?.found;
  const option = incident ? found?.incident?.option : option_of(item, found?.options);
  const back = complaint ? to("what", reason, complaint) : to("what", reason);
  if (!option) {
    return (
      <Screen title={say("app.sheet.title")} back={back}>
        <Nothing words={say("app.sheet.again")} />
      </Screen>
    );
  }
  const give = async (): Promise<void> => {
    send(true);
    await give_and_show(wish_for(option, reason as Category, complaint, incident), { title: option.title, worth: worth(option) });
  };
  const foot = (
    <button type="button" class="primary" disabled={sending} aria-busy={sending} onClick={() => void give()}>
      <Icon name="gift" />
      {say(sending ? "app.sheet.sending" : online.value ? "app.sheet.give" : "app.sheet.keep")}
    </button>
  );
  const seconds = valid_s(option.item);
  return (
    <Screen title={option.title} back={back} lead={worth(option)} foot={foot}>
      <ul class="facts">
        <li>
          <span>{say("app.sheet.reason")}</span>
          <span>{say(`category.${reason}`)}</span>
        </li>
        {seconds && (
          <li>
            <span>{say("app.sheet.valid")}</span>
            <span>{length(seconds)}</span>
          </li>
        )}
      </ul>
      {!complaint && <About />}
    </Screen>
  );
}

function About() {
  const ours = site.value?.languages ?? [];
  return (
    <>
      {ours.length > 1 && (
        <Choices
          legend={say("app.sheet.language")}
          options={ours.map((one) => ({ value: one, title: LANGUAGES[one] }))}
          value={guests_language()}
          pick={(one) => (spoken.value = one)}
        />
      )}
      <Field id="booking" label={say("app.give.booking")} of={booking} />
      <div class="field">
        <label for="note">{say("app.sheet.note")}</label>
        <textarea
          id="note"
          rows={2}
          maxLength={2000}
          placeholder={say("app.optional")}
          value={note.value}
          onInput={(event) => (note.value = event.currentTarget.value)}
        />
      </div>
      <details class="strip">
        <summary>{say("app.sheet.contact")}</summary>
        <Field id="email" label={say("app.sheet.email")} of={email} mode="email" />
        <Field id="phone" label={say("app.sheet.phone")} of={phone} mode="tel" />
      </details>
    </>
  );
}

function Field(props: { id: string; label: string; of: { value: string }; mode?: "email" | "tel" }) {
  return (
    <div class="field">
      <label for={props.id}>{props.label}</label>
      <input
        id={props.id}
        inputMode={props.mode ?? "text"}
        autocomplete="off"
        maxLength={200}
        placeholder={say("app.optional")}
        value={props.of.value}
        onInput={(event) => (props.of.value = event.currentTarget.value)}
      />
    </div>
  );
}
