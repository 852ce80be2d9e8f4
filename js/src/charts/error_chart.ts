import { assign, svg } from "../util/dom.js";
import { percent, significant } from "../util/format.js";
import type { Axis } from "./axis.js";
import { ChartFrame, line } from "./frame.js";
import { logAxisOver } from "./log_axis.js";
import { marker } from "./markers.js";

const MARGINS = { left: 48, right: 104, top: 10, bottom: 32 };
const LABEL_HEIGHT = 13;
const INKS = ["accent", "second", "good", "text"] as const;

export interface Line {
  readonly name: string;
  /** Which shape and colour it has; the same for one rule's lines. */
  readonly rank: number;
  /** An estimate of the rule itself, not a measured error. */
  readonly isEstimate: boolean;
  /** Whether it is the current rule. */
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

/** Errors over evaluations on logarithmic axes, one named line for each rule. */
export class ErrorChart {
  readonly #frame: ChartFrame;
  #shown: Lines = { lines: [], quantity: "error", isShare: true, level: undefined };

  constructor(signal: AbortSignal) {
    this.#frame = new ChartFrame("errors", 210, MARGINS, () => this.#layOut(), signal);
  }

  get element(): SVGElement {
    return this.#frame.element;
  }

  show(lines: Lines): void {
    this.#shown = lines;
    this.#layOut();
  }

  #layOut(): void {
    const frame = this.#frame;
    const { lines, level, isShare } = this.#shown;
    const points = lines.flatMap((line) => line.points);
    const x = logAxisOver(
      points.map(([evaluations]) => evaluations),
      [frame.left, frame.right],
      6,
    );
    const values = points.map(([, value]) => value);
    const y = logAxisOver(level === undefined ? values : [...values, level], frame.vertical, 5);
    assign(frame.element, { "aria-label": inWords(this.#shown) });
    const counts = x.ticks.filter((tick) => tick >= 1);
    frame.draw(
      frame.below(
        counts.map((value) => [x.at(value), String(value)]),
        "evaluations",
      ),
      frame.grid(
        y,
        y.ticks.map((value) => [value, written(value, isShare)]),
      ),
      this.#level(y),
      ...lines.map((line) => drawn(line, x, y)),
      this.#labels(x, y),
    );
  }

  *#level(y: Axis): Generator<SVGElement> {
    const { level } = this.#shown;
    if (level === undefined) return;
    const at = y.at(level);
    const { left, right } = this.#frame;
    yield line("igw-level", left, at, right, at);
    const place = { class: "igw-level-name", x: left + 4, y: at - 4 };
    yield svg("text", place, `tolerance ${shortPercent(level)}`);
  }

  /** Names beside the chart, in the order of the lines' ends and without overlap. */
  *#labels(x: Axis, y: Axis): Generator<SVGElement> {
    const ends = this.#shown.lines
      .flatMap((line) => {
        const last = line.points[line.points.length - 1];
        return last === undefined ? [] : [{ line, at: [x.at(last[0]), y.at(last[1])] as const }];
      })
      .sort((a, b) => a.at[1] - b.at[1]);
    const { right, top: highest, bottom } = this.#frame;
    const left = right + 14;
    const room = bottom / Math.max(ends.length, 1);
    const apart = Math.min(LABEL_HEIGHT, room);
    let above = highest - apart;
    for (const [i, { line, at }] of ends.entries()) {
      const lowest = bottom - (ends.length - 1 - i) * apart;
      const top = Math.min(Math.max(at[1], above + apart), lowest);
      above = top;
      const lead = `M${at[0] + 6} ${at[1]}L${left - 3} ${top}`;
      yield svg("path", { class: "igw-lead", d: lead });
      const ink = line.isCurrent ? `${inkOf(line)} igw-current` : inkOf(line);
      yield this.#frame.label(left, top, "start", shortName(line), ink);
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

/** Returns a name that fits beside the chart. */
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
