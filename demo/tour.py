"""The three screens of the demo, played in a browser without a window: a picture of each step, and a short film."""

from __future__ import annotations

import os
import shutil
from base64 import b64decode, b64encode
from pathlib import Path
from typing import TYPE_CHECKING

from demo.show import Show

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 800}
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
#: For what waits for a fact to come by: the services are seconds apart at most.
WAIT_MS = 30_000
#: The board has a stream, so the network is never idle; its first snapshot comes at once.
SETTLED_MS = 3_000
#: The pictures of the README's strip: the guest, the best that fits, the code, the thanks; and how wide each is.
IN_STRIP, STRIP_PX = (0, 3, 5, 8), 200
#: How long the film shows each picture.
STEP_MS = 1_500
WORDS = "The soup was cold, and we waited for forty minutes."

#: The pictures one after the other, on a canvas that the browser records.
_FILM = """
async ([pictures, step]) => {
  const shown = await Promise.all(pictures.map(async one => {
    const image = new Image();
    image.src = "data:image/png;base64," + one;
    await image.decode();
    return image;
  }));
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [shown[0].width, shown[0].height];
  const pen = canvas.getContext("2d");
  const recorder = new MediaRecorder(canvas.captureStream(10), {mimeType: "video/webm"});
  const parts = [];
  recorder.ondataavailable = one => parts.push(one.data);
  const ended = new Promise(done => { recorder.onstop = done; });
  recorder.start();
  for (const image of shown) {
    const until = performance.now() + step;
    while (performance.now() < until) {
      pen.drawImage(image, 0, 0);
      await new Promise(done => setTimeout(done, 100));
    }
  }
  recorder.stop();
  await ended;
  const bytes = new Uint8Array(await new Blob(parts).arrayBuffer());
  let text = "";
  for (const one of bytes) text += String.fromCharCode(one);
  return btoa(text);
}
"""


class Tour:
    """Plays the steps, and keeps a picture of each."""

    def __init__(self, browser: Browser, folder: Path) -> None:
        self._browser = browser
        self._folder = folder
        self._pictures: list[bytes] = []

    def person(self, size: dict[str, int] | None = None) -> Page:
        """Somebody with a browser of their own."""
        context = self._browser.new_context(
            viewport=size or PHONE,  # type: ignore[arg-type]  # a TypedDict of theirs
            locale="en",
            reduced_motion="reduce",  # no picture of a screen that is still coming
        )
        context.set_default_timeout(WAIT_MS)
        return context.new_page()

    def picture(self, page: Page, name: str, *, film: bool = True) -> None:
        """Keep what a screen shows now."""
        path = self._folder / f"{name}.png"
        taken = page.screenshot(path=path)
        if film:
            self._pictures.append(taken)

    def film(self) -> None:
        """Write the film of all pictures from phones, and a strip of some; blocks for as long as the film lasts."""
        page = self.person()
        shown = [b64encode(one).decode() for one in self._pictures]
        made: str = page.evaluate(_FILM, [shown, STEP_MS])
        (self._folder / "tour.webm").write_bytes(b64decode(made))
        page.set_viewport_size({"width": 4 * (STRIP_PX + 8), "height": 440})
        page.set_content(
            "<body style='margin:0;display:flex;gap:8px;background:#fff'>"
            + "".join(
                f"<img width={STRIP_PX} style='border:1px solid #ccc' src='data:image/png;base64,{shown[number]}'>"
                for number in IN_STRIP
            )
        )
        page.screenshot(path=self._folder / "tour.png", full_page=True)


def play(origin: str, form_url: str, folder: Path, show: Show) -> None:
    """Play the tour against running services and write its pictures into a folder; blocks for half a minute.

    Says so, and does nothing, where there is no Chromium.
    """
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only a tour needs it

    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if chromium is None:
        show.note("no tour: there is no Chromium; install it, or set CHROMIUM to the path of one")
        return
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=FLAGS)
        try:
            tour = Tour(browser, folder)
            _steps(tour, origin, form_url, show)
            tour.film()
        finally:
            browser.close()
    show.good(f"pictures and a film are in {folder}")


def _steps(tour: Tour, origin: str, form_url: str, show: Show) -> None:
    """A guest says what happened, an employee gives in three taps, it helped, and the board shows it."""
    guest = tour.person()
    guest.goto(form_url)
    guest.locator("#text").fill(WORDS)
    guest.locator("#contact").fill("kari@example.org")
    guest.evaluate("scrollTo(0, 0)")
    tour.picture(guest, "1-a-guest-scans-and-writes")
    guest.locator("button.yes").click()
    guest.get_by_role("heading", name="Thank you").wait_for()
    tour.picture(guest, "2-the-guest-is-heard")
    show.good("a guest said what happened")

    employee = tour.person()
    employee.goto(f"{origin}/sign-in?device=own&next=/app/")
    employee.get_by_role("link", name="Ingrid").click()
    employee.get_by_role("heading", name="What happened?").wait_for()
    employee.wait_for_load_state("networkidle")
    tour.picture(employee, "3-an-employee-opens-the-app")
    employee.locator("a", has_text="Food and service").first.click()
    employee.locator("a.best").wait_for()
    tour.picture(employee, "4-the-best-that-fits")
    employee.locator("a.best").click()
    employee.locator("button", has_text="Give now").wait_for()
    tour.picture(employee, "5-the-third-tap-gives")
    with employee.expect_response("**/v1/checks") as given:
        employee.locator("button", has_text="Give now").click()
    link = given.value.json()["link"]
    employee.locator("svg.qr").wait_for()
    tour.picture(employee, "6-the-code")
    show.good("an employee gave in three taps")

    for _ in range(WAIT_MS // 500):
        page = guest.goto(link)
        if page is not None and page.ok:
            break
        guest.wait_for_timeout(500)  # the notifier has not heard of it yet
    tour.picture(guest, "7-the-guest-opens-it")
    guest.locator("#text").fill("Thank you, Ingrid!")
    guest.locator("button.yes").first.click()
    guest.locator("#answer").wait_for()
    tour.picture(guest, "8-it-helped")
    show.good("the guest said that it helped")

    employee.goto(f"{origin}/app/#/inbox")
    for _ in range(WAIT_MS // 500):
        if employee.get_by_text("Thank you, Ingrid!").count():
            break
        employee.wait_for_timeout(500)
        employee.reload()
        employee.wait_for_load_state("networkidle")
    tour.picture(employee, "9-and-the-employee-hears-it")
    show.good("the employee heard it")

    manager = tour.person(DESKTOP)
    manager.goto(f"{origin}/sign-in?device=own&next=/board/")
    manager.get_by_role("link", name="manager").click()
    manager.locator("h1").wait_for()
    manager.wait_for_timeout(SETTLED_MS)
    tour.picture(manager, "10-the-board", film=False)
    show.good("the board shows it")
