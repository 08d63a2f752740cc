/** The phone app: which screen, and what happens at its opening and when the network is back. */
import { render } from "preact";
import { useEffect } from "preact/hooks";
import { notice, refresh } from "./desk";
import { replay } from "./drafts/giving";
import { Tabs } from "./parts";
import { route } from "./route";
import { Case } from "./screens/case";
import { Cases } from "./screens/cases";
import { Done } from "./screens/done";
import { Drafts } from "./screens/drafts";
import { Give } from "./screens/give";
import { Inbox } from "./screens/inbox";
import { Limit } from "./screens/limit";
import { Locked } from "./screens/locked";
import { Me } from "./screens/me";
import { Redeem } from "./screens/redeem";
import { Sheet } from "./screens/sheet";
import { What } from "./screens/what";
import { asked, hear_session, locked, look, use } from "./session";
import { watch } from "./use";
import { language, speak, speakFrom } from "./words";

/** The working screens of a gift have no tabs: the thumb belongs to the gift. */
const FOCUSED = ["what", "sheet", "done", "limit"];

function Shown() {
  const [name = "", a = "", b = "", c = ""] = route.value;
  useEffect(() => void (notice.value = ""), [name, a, b]);
  switch (name) {
    case "what":
      return <What reason={a} complaint={b} />;
    case "sheet":
      return <Sheet reason={a} item={b} complaint={c} />;
    case "done":
      return <Done draft={a} />;
    case "limit":
      return <Limit draft={a} />;
    case "cases":
      return <Cases />;
    case "case":
      return <Case id={a} key={a} />;
    case "inbox":
      return <Inbox />;
    case "me":
      return <Me />;
    case "drafts":
      return <Drafts />;
    case "redeem":
      return <Redeem />;
    default:
      return <Give />;
  }
}

/** How often the app looks whether it was left alone for too long. */
const LOOK_MS = 15_000;

function App() {
  if (locked.value) {
    return (
      <div key={language.value} class="app">
        {asked.value && <Locked />}
      </div>
    );
  }
  return (
    <div key={language.value} class="app">
      <Shown />
      {!FOCUSED.includes(route.value[0] ?? "") && <Tabs />}
    </div>
  );
}

/** Hear what the services say now, and send what waits. */
async function again(): Promise<void> {
  if (!locked.value) {
    if (look()) return;
    await Promise.all([hear_session(), refresh()]);
  } else {
    await hear_session();
    if (!locked.value) await refresh();
  }
  if (!locked.value) await replay();
}

async function start(): Promise<void> {
  speakFrom({
    nb: () => import("words:app/nb"),
    sv: () => import("words:app/sv"),
    da: () => import("words:app/da"),
    en: () => import("words:app/en"),
  });
  await speak(language.value);
  render(<App />, document.getElementById("app") as HTMLElement);
  addEventListener("online", () => void again());
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && void again());
  watch(use);
  setInterval(look, LOOK_MS);
  await again();
  if ("serviceWorker" in navigator) await navigator.serviceWorker.register("/app/worker.js", { type: "module" });
}

void start();
