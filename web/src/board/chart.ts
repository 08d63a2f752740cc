/** Draws hours with uPlot: complaints as bars, gifts as narrower ones in them, what is usual as a dashed line. */
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { say } from "../words";
import { clock, number } from "./figures";
import type { Hour } from "./flow";

const HEIGHT = 320;
const HOUR_S = 3_600;
/** How much of its hour a bar is as wide as. */
const WIDE = 0.75;
const NARROW = 0.4;
/** Lines across stand for whole complaints. */
const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500];

/** Draw in a place until the function that is returned is called; follows its width and the colours of the page. */
export function draw(place: HTMLElement, hours: Hour[], zone: string): () => void {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const data: uPlot.AlignedData = [
    hours.map((one) => one.at / 1000),
    hours.map((one) => one.complaints),
    hours.map((one) => one.checks),
    hours.map((one) => one.usual),
  ];
  let chart: uPlot | undefined;
  const anew = (): void => {
    chart?.destroy();
    chart = new uPlot(options(place.clientWidth, zone), data, place);
  };
  const sized = new ResizeObserver(() => chart?.setSize({ width: place.clientWidth, height: HEIGHT }));
  anew();
  sized.observe(place);
  dark.addEventListener("change", anew);
  return () => {
    sized.disconnect();
    dark.removeEventListener("change", anew);
    chart?.destroy();
  };
}

/** A weekday at midnight, else the hour alone. */
const short = (at: string): string => (/\b00[:.]00$/.test(at) ? at.replace(/\W*00[:.]00$/, "") : at.replace(/^\D*/, ""));

function options(width: number, zone: string): uPlot.Options {
  const styles = getComputedStyle(document.documentElement);
  const colour = (name: string): string => styles.getPropertyValue(`--${name}`).trim();
  const text = { stroke: colour("soft"), grid: { stroke: colour("line"), width: 1 }, ticks: { show: false } };
  const value = (_: uPlot, found: number | null): string => (found === null ? "–" : number(found, 1));
  const bars = (size: number) => {
    const paths = uPlot.paths.bars?.({ size: [size] });
    return paths ? { paths } : {};
  };
  return {
    width,
    height: HEIGHT,
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), zone),
    cursor: { drag: { x: false, y: false } },
    scales: {
      x: { range: (_, first, last) => [first - HOUR_S / 2, last + HOUR_S / 2] },
      y: { range: (_, __, most) => [0, Math.max(4, Math.ceil(most))] },
    },
    axes: [
      { ...text, space: 60, values: (_, splits) => splits.map((one) => short(clock(one * 1000, zone))) },
      { ...text, size: 36, incrs: STEPS, values: (_, splits) => splits.map((one) => number(one)) },
    ],
    series: [
      { label: say("board.flow.hour"), value: (_, found) => (found === null ? "–" : clock(found * 1000, zone)) },
      { label: say("board.flow.complaints"), value, stroke: colour("bar-line"), fill: colour("bar"), ...bars(WIDE), points: { show: false } },
      { label: say("board.flow.checks"), value, stroke: colour("green"), fill: colour("green"), ...bars(NARROW), points: { show: false } },
      { label: say("board.flow.usual"), value, stroke: colour("soft"), dash: [5, 4], width: 1.5, points: { show: false } },
    ],
  };
}
