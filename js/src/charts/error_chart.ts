import { assign, svg, write } from "../util/dom.js";
import { percent, significant } from "../util/format.js";
import { onWidth } from "../util/width.js";
import type { Axis } from "./axis.js";
import { logAxisOver } from "./log_axis.js";
import { marker } from "./markers.js";

const HEIGHT = 210;
const MARGIN = { left: 48, right: 104, top: 10, bottom: 32 };
const LABEL_HEIGHT = 13;
const INKS = ["accent", "second", "good", "text"] as const;

export interface Line {
  readonly name: string;
  /** Which shape and colour it has; the same for one rule's lines. */
  readonly rank: number;
  /** Its own estimate, and not what was measured. */
  readonly isEstimate: boolean;
  /** Of the rule that is asked for. */
  readonly isCurrent: boolean;
  /** By evaluations; values are above zero. */
  readonly points: readonly (readonly [evaluations: number, value: number])[];
}

export interface Lines {
  readonly lines: readonly Line[];
  readonly quantity: string;
  readonly isShare: boolean;
  /** A level to be reached. */
  readonly level: number | undefined;
}

/** How rules settle: lines over evaluations, both axes logarithmic, each named at its end. */
export class ErrorChart {
  readonly element = svg("svg", { role: "img", class: "igw-errors", height: HEIGHT });
  #shown: Lines = { lines: [], quantity: "error", isShare: true, level: undefined };
  #width = 320;

  constructor(signal: AbortSignal) {
    onWidth(this.element, (width) => this.#resize(width), signal);
  }

  show(lines: Lines): void {
    this.#shown = lines;
    this.#layOut();
  }

  #resize(width: number): void {
    if (width <= MARGIN.left + MARGIN.right || width === this.#width) return;
    this.#width = width;
    this.#layOut();
  }

  #layOut(): void {
    const { lines, level } = this.#shown;
    const points = lines.flatMap((line) => line.points);
    const x = logAxisOver(
      points.map(([evaluations]) => evaluations),
      [MARGIN.left, this.#width - MARGIN.right],
      6,
    );
    const values = points.map(([, value]) => value);
    const y = logAxisOver(
      level === undefined ? values : [...values, level],
      [HEIGHT - MARGIN.bottom, MARGIN.top],
      5,
    );
    assign(this.element, {
      viewBox: `0 0 ${this.#width} ${HEIGHT}`,
      width: this.#width,
      "aria-label": inWords(this.#shown),
    });
    this.element.replaceChildren(
      ...this.#grid(x, y),
      ...this.#level(y),
      ...lines.flatMap((line) => [...drawn(line, x, y)]),
      ...this.#labels(x, y),
    );
  }

  *#grid(x: Axis, y: Axis): Generator<SVGElement> {
    const bottom = HEIGHT - MARGIN.bottom;
    const [start, end] = [MARGIN.left, this.#width - MARGIN.right];
    yield svg("line", { class: "igw-tick", x1: start, x2: end, y1: bottom, y2: bottom });
    for (const value of x.ticks.filter((tick) => tick >= 1)) {
      const at = x.at(value);
      yield svg("line", { class: "igw-tick", x1: at, x2: at, y1: bottom, y2: bottom + 4 });
      yield svg("text", { x: at, y: bottom + 15, "text-anchor": "middle" }, String(value));
    }
    const middle = (start + end) / 2;
    yield svg("text", { x: middle, y: HEIGHT - 3, "text-anchor": "middle" }, "evaluations");
    for (const value of y.ticks) {
      const at = y.at(value);
      yield svg("line", { class: "igw-gridline", x1: start, x2: end, y1: at, y2: at });
      const place = { x: start - 6, y: at, "text-anchor": "end", "dominant-baseline": "central" };
      yield svg("text", place, written(value, this.#shown.isShare));
    }
  }

  *#level(y: Axis): Generator<SVGElement> {
    const { level } = this.#shown;
    if (level === undefined) return;
    const at = y.at(level);
    const end = this.#width - MARGIN.right;
    yield svg("line", { class: "igw-level", x1: MARGIN.left, x2: end, y1: at, y2: at });
    const place = { class: "igw-level-name", x: MARGIN.left + 4, y: at - 4 };
    yield svg("text", place, `tolerance ${shortPercent(level)}`);
  }

  /** ComparisonView the chart, in the order of the lines' ends and clear of each other. */
  *#labels(x: Axis, y: Axis): Generator<SVGElement> {
    const ends = this.#shown.lines
      .flatMap((line) => {
        const last = line.points[line.points.length - 1];
        return last === undefined ? [] : [{ line, at: [x.at(last[0]), y.at(last[1])] as const }];
      })
      .sort((a, b) => a.at[1] - b.at[1]);
    const left = this.#width - MARGIN.right + 14;
    const room = (HEIGHT - MARGIN.bottom) / Math.max(ends.length, 1);
    const apart = Math.min(LABEL_HEIGHT, room);
    let above = MARGIN.top - apart;
    for (const [i, { line, at }] of ends.entries()) {
      const lowest = HEIGHT - MARGIN.bottom - (ends.length - 1 - i) * apart;
      const top = Math.min(Math.max(at[1], above + apart), lowest);
      above = top;
      const lead = `M${at[0] + 6} ${at[1]}L${left - 3} ${top}`;
      yield svg("path", { class: "igw-lead", d: lead });
      const place = { x: left, y: top, "dominant-baseline": "central", class: inkOf(line) };
      const text = svg("text", place);
      if (line.isCurrent) text.classList.add("igw-current");
      write(text, shortName(line));
      yield text;
    }
  }
}

export function shortPercent(share: number): string {
  return `${Number((100 * share).toPrecision(3))}%`;
}

function written(value: number, isShare: boolean): string {
  return isShare ? shortPercent(value) : significant(value, 1);
}

function inkOf({ rank }: Line): string {
  return `igw-ink-${INKS[rank % INKS.length]}`;
}

/** What fits beside the chart. */
function shortName({ name, isEstimate }: Line): string {
  const short = name.replace(/^riemann_/, "");
  return isEstimate ? `${short}, estimate` : short;
}

function* drawn(line: Line, x: Axis, y: Axis): Generator<SVGElement> {
  const places = line.points.map(
    ([evaluations, value]) => [x.at(evaluations).toFixed(2), y.at(value).toFixed(2)] as const,
  );
  const group = svg("g", { class: `igw-rule ${inkOf(line)}` });
  if (line.isEstimate) group.classList.add("igw-estimate");
  if (line.isCurrent) group.classList.add("igw-current");
  const path = `M${places.map(([left, top]) => `${left} ${top}`).join("L")}`;
  group.append(svg("path", { class: "igw-rule-line", d: path }));
  for (const [left, top] of places) {
    const transform = `translate(${left} ${top})`;
    group.append(svg("path", { class: "igw-marker", d: marker(line.rank), transform }));
  }
  yield group;
}

function inWords({ lines, quantity, isShare, level }: Lines): string {
  const write = (value: number) => (isShare ? percent(value, 2) : significant(value, 2));
  const parts = lines.map(({ name, isEstimate, points }) => {
    const [first, last] = [points[0], points[points.length - 1]];
    const of = isEstimate ? `${name}, by its own estimate` : name;
    if (first === undefined || last === undefined) return of;
    const end = `${write(last[1])} at ${last[0]} evaluations`;
    return first === last ? `${of}: ${end}` : `${of}: ${write(first[1])} at ${first[0]}, ${end}`;
  });
  const goal = level === undefined ? [] : [`tolerance ${shortPercent(level)}`];
  return [`convergence chart, ${quantity} against evaluations`, ...parts, ...goal].join("; ");
}
