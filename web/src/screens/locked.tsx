/** LOCKED: nobody used the device for a while, or the shift is over; drafts are kept. */
import { away, SIGN_IN } from "../api";
import { Nothing, Screen } from "../parts";
import { say } from "../words";

export function Locked() {
  const foot = (
    <a class="primary" href={SIGN_IN}>
      {say("app.locked.sign_in")}
    </a>
  );
  return (
    <Screen title={say("app.locked.title")} lead={say("app.locked.lead")} foot={away.value.has("web") ? undefined : foot}>
      {away.value.has("web") && <Nothing words={say("app.locked.offline")} />}
    </Screen>
  );
}
