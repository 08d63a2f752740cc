/** The managers' board: which site and view is shown, live, and whether it is as it is now. */
import { render } from "preact";
import { useEffect } from "preact/hooks";
import { SIGN_IN, sign_out, when_signed_out } from "../api";
import { Icon } from "../icons";
import { replace, route, to } from "../route";
import { Title } from "../title";
import { touch, watch } from "../use";
import { LANGUAGES, language, type Language, moment, say, speak, speakFrom } from "../words";
import { Calls } from "./calls";
import { Flow } from "./flow";
import { Later } from "./later";
import { begin, board, follow, group, heard_at, live, now, site, trouble } from "./live";
import { keep, leave, locked, look } from "./lock";
import { Now } from "./now";
import { Nothing } from "./parts";
import { Signals } from "./signals";
import { Sites } from "./sites";
import { Why } from "./why";
import { Worth } from "./worth";

const TICK_MS = 15_000;

/** In the order of a morning: what burns, what came, why, what it is worth, whom to praise, what to look at, what to change. */
const VIEWS = [
  { name: "now", show: Now },
  { name: "flow", show: Flow },
  { name: "why", show: Why },
  { name: "worth", show: Worth },
  { name: "calls", show: Calls },
  { name: "signals", show: Signals },
  { name: "whatif", show: Later },
  { name: "sites", show: Sites },
] as const;

/** All sites are a view for who has several. */
const mine = () => VIEWS.filter((one) => one.name !== "sites" || (group.value?.boards.length ?? 0) > 1);
const shown = () => mine().find((one) => one.name === route.value[0]) ?? VIEWS[0];

function App() {
  const wanted = locked.value ? "" : site.value;
  useEffect(() => {
    if (!wanted) return;
    const leaving = new AbortController();
    void follow(wanted, leaving.signal);
    return () => leaving.abort();
  }, [wanted]);
  if (locked.value) return <Locked key={language.value} />;
  return (
    <div key={language.value} class={live.value ? "board" : "board stale"}>
      <header>
        <Where />
        <Standing />
      </header>
      {board.value && <Tabs />}
      <main>
        <View />
      </main>
      <Foot />
    </div>
  );
}

function Locked() {
  return (
    <div class="board">
      <main>
        <Title words={say("board.locked.title")} />
        <p class="lead">{say("board.locked.lead")}</p>
        <a class="link" href={SIGN_IN}>
          {say("board.locked.sign_in")}
        </a>
      </main>
    </div>
  );
}

function View() {
  const view = shown();
  return (
    <>
      <Title words={say(board.value ? `board.tab.${view.name}` : "board.title")} />
      {board.value ? <view.show key={board.value.site} board={board.value} /> : <Nothing words={say(`board.trouble.${trouble.value || "loading"}`)} />}
    </>
  );
}

/** The site, or a choice of my sites. */
function Where() {
  const sites = group.value?.boards ?? [];
  if (sites.length < 2) return <p class="site">{board.value?.name ?? "Service Check"}</p>;
  return (
    <label class="site">
      <span class="hidden">{say("board.site")}</span>
      <select value={site.value} onChange={(event) => replace(shown().name, event.currentTarget.value)}>
        {sites.map((one) => (
          <option key={one.site} value={one.site}>
            {one.name}
          </option>
        ))}
      </select>
    </label>
  );
}

/** Whether the numbers are of now; else of when they are. */
function Standing() {
  return (
    <p class={live.value ? "pill quiet" : "pill old"} role="status">
      {live.value ? (
        <>
          <i class="dot" />
          {say("board.live")}
        </>
      ) : (
        <>
          <Icon name="away" />
          {heard_at.value ? say("board.as_of", { time: moment(heard_at.value, board.value?.timezone) }) : say("board.connecting")}
        </>
      )}
    </p>
  );
}

function Tabs() {
  return (
    <nav aria-label={say("board.tab.title")}>
      {mine().map((one) => (
        <a key={one.name} href={to(one.name, site.value)} aria-current={one === shown() ? "page" : undefined}>
          {say(`board.tab.${one.name}`)}
        </a>
      ))}
    </nav>
  );
}

function Foot() {
  return (
    <footer>
      <label>
        {say("board.language")}
        <select value={language.value} onChange={(event) => void speak(event.currentTarget.value as Language)}>
          {Object.entries(LANGUAGES).map(([name, title]) => (
            <option key={name} value={name}>
              {title}
            </option>
          ))}
        </select>
      </label>
      <button type="button" class="small" onClick={() => void end()}>
        {say("board.sign_out")}
      </button>
    </footer>
  );
}

async function end(): Promise<void> {
  const next = await sign_out();
  if (next) location.assign(next);
}

async function start(): Promise<void> {
  speakFrom({
    nb: () => import("words:board/nb"),
    sv: () => import("words:board/sv"),
    da: () => import("words:board/da"),
    en: () => import("words:board/en"),
  });
  await speak(language.value);
  render(<App />, document.getElementById("app") as HTMLElement);
  // Somebody has opened the page.
  touch();
  watch(() => look() || touch());
  when_signed_out(leave);
  setInterval(() => {
    now.value = Date.now();
    void keep();
  }, TICK_MS);
  await Promise.all([keep(), begin()]);
}

void start();
