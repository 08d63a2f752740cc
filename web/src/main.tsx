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
import { Me } from "./screens/me";
import { Redeem } from "./screens/redeem";
import { Sheet } from "./screens/sheet";
import { What } from "./screens/what";
import { language, speak } from "./words";

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

function App() {
  return (
    <div key={language.value} class="app">
      <Shown />
      {!FOCUSED.includes(route.value[0] ?? "") && <Tabs />}
    </div>
  );
}

async function start(): Promise<void> {
  await speak(language.value);
  render(<App />, document.getElementById("app") as HTMLElement);
  // Once by itself, so that `me` is known before drafts are looked for.
  await refresh();
  await replay();
  const again = (): void => void refresh().then(replay);
  addEventListener("online", again);
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && again());
  if ("serviceWorker" in navigator) await navigator.serviceWorker.register("/app/worker.js", { type: "module" });
}

void start();
