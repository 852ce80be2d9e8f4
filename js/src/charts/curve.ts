import { assign, html, svg, write } from "../dom.js";
import { fixed, percent, shorten, signed, significant } from "../format.js";
import type { Point } from "../protocol.js";
import { type Axis, axisOver } from "./axis.js";

const HEIGHT = 150;
const MARGIN = { left: 52, right: 12, top: 8, bottom: 30 };
const EMPTY = "Point at a pixel, or draw a region, to see when it switches on.";
/** How far, in shares of the end, a curve may fall back or overshoot and still have one half-way point. */
const WAVER = 0.1;

/** The attribution of a pixel or a region collected up to alpha: when does it switch on? */
export class Curve {
  readonly element: HTMLElement;
  readonly #frame = svg("svg", { role: "img", class: "igw-curve", height: HEIGHT });
  readonly #marks = svg("g");
  readonly #cursor = svg("line", { class: "igw-cursor", y1: MARGIN.top });
  readonly #knob = svg("circle", { class: "igw-knob", r: 4 });
  readonly #of = html("span", { class: "igw-unit" });
  readonly #here = html("p", { class: "igw-note" }, EMPTY);
  readonly #half = html("p", { class: "igw-note" });
  #points: readonly Point[] = [];
  #axis: Axis = axisOver([0], [0, 1], 1);
  #total = 0;
  #unit = "";
  #alpha = 0;
  #width = 320;

  constructor(signal: AbortSignal) {
    this.#frame.append(this.#marks, this.#cursor, this.#knob);
    this.element = html(
      "figure",
      { class: "igw-panel" },
      html(
        "figcaption",
        { class: "igw-caption" },
        html("span", { class: "igw-title" }, "When does it switch on?"),
        this.#of,
      ),
      this.#frame,
      this.#here,
      this.#half,
    );
    const resized = new ResizeObserver(([entry]) => this.#resize(entry?.contentRect.width ?? 0));
    resized.observe(this.element);
    signal.addEventListener("abort", () => resized.disconnect(), { once: true });
    this.clear();
  }

  /** Nothing is pointed at. */
  clear(): void {
    this.#points = [];
    this.#layOut();
  }

  /**
   * `values`: what is collected up to alpha, asked once at each knot, between which it is linear: the ends of the
   * plan's pieces. `total`: what all pixels add up to, of which a share is told.
   */
  show(
    of: string,
    values: (alpha: number) => number,
    total: number,
    unit: string,
    knots: readonly number[],
  ): void {
    const alphas = [...new Set([0, ...knots, 1])].sort((a, b) => a - b);
    this.#points = alphas.map((alpha): Point => [alpha, values(alpha)]);
    this.#total = total;
    this.#unit = shorten(unit, 24);
    write(this.#of, shorten(of, 40));
    this.#layOut();
  }

  /** Moves the knob; nothing else is drawn again. */
  move(alpha: number): void {
    this.#alpha = alpha;
    if (this.#points.length === 0) return;
    const value = between(this.#points, alpha);
    const x = this.#x(alpha);
    assign(this.#cursor, { x1: x, x2: x, y2: HEIGHT - MARGIN.bottom });
    assign(this.#knob, { cx: x, cy: this.#axis.at(value) });
    const end = this.#end;
    const words = `${signed(value)} ${this.#unit} by alpha ${fixed(alpha, 2)}, ${percent(value / end)} of its ${signed(end)}`;
    write(this.#here, words);
    const share = `${percent(end / this.#total)} of the whole map`;
    const of = this.#of.textContent ?? "";
    assign(this.#frame, {
      "aria-label": `curve of ${of}: ${words}; ${this.#half.textContent}; ${share}`,
    });
  }

  get #end(): number {
    return this.#points[this.#points.length - 1]?.[1] ?? 0;
  }

  #x(alpha: number): number {
    return MARGIN.left + alpha * (this.#width - MARGIN.left - MARGIN.right);
  }

  #resize(width: number): void {
    if (width <= MARGIN.left + MARGIN.right || width === this.#width) return;
    this.#width = width;
    this.#layOut();
  }

  #layOut(): void {
    const isEmpty = this.#points.length === 0;
    for (const part of [this.#frame, this.#of, this.#half]) assign(part, { hidden: isEmpty });
    if (isEmpty) {
      write(this.#here, EMPTY);
      return;
    }
    const values = this.#points.map(([, value]) => value);
    this.#axis = axisOver([0, ...values], [HEIGHT - MARGIN.bottom, MARGIN.top], 3);
    assign(this.#frame, { viewBox: `0 0 ${this.#width} ${HEIGHT}`, width: this.#width });
    this.#marks.replaceChildren(...this.#grid(), this.#line());
    write(this.#half, halfInWords(this.#points));
    this.move(this.#alpha);
  }

  *#grid(): Generator<SVGElement> {
    const bottom = HEIGHT - MARGIN.bottom;
    const [start, end] = [MARGIN.left, this.#width - MARGIN.right];
    yield svg("line", { class: "igw-tick", x1: start, x2: end, y1: bottom, y2: bottom });
    for (const alpha of [0, 0.25, 0.5, 0.75, 1]) {
      const x = this.#x(alpha);
      yield svg("line", { class: "igw-tick", x1: x, x2: x, y1: bottom, y2: bottom + 4 });
      yield svg("text", { x, y: bottom + 15, "text-anchor": "middle" }, String(alpha));
    }
    yield svg("text", { x: this.#x(0.5), y: HEIGHT - 3, "text-anchor": "middle" }, "α");
    for (const value of this.#axis.ticks) {
      const y = this.#axis.at(value);
      const kind = value === 0 ? "igw-tick" : "igw-gridline";
      yield svg("line", { class: kind, x1: start, x2: end, y1: y, y2: y });
      const at = { x: start - 6, y, "text-anchor": "end", "dominant-baseline": "central" };
      yield svg("text", at, significant(value, 2));
    }
  }

  #line(): SVGElement {
    const line = this.#points.map(
      ([alpha, value]) => `${this.#x(alpha).toFixed(2)} ${this.#axis.at(value).toFixed(2)}`,
    );
    return svg("path", { class: "igw-output", d: `M${line.join("L")}` });
  }
}

/** The alpha at which half of the end is reached; undefined where there is no one such alpha to speak of. */
export function halfWay(points: readonly Point[]): number | undefined {
  const end = points[points.length - 1]?.[1] ?? 0;
  if (end === 0) return undefined;
  let most = 0;
  let found: number | undefined;
  let [before, reached] = [0, 0];
  for (const [alpha, value] of points) {
    const share = value / end;
    most = Math.max(most, share);
    if (share < most - WAVER || most > 1 + WAVER) return undefined;
    if (found === undefined && share >= 0.5)
      found = before + ((alpha - before) * (0.5 - reached)) / (share - reached || 1);
    [before, reached] = [alpha, share];
  }
  return found;
}

function halfInWords(points: readonly Point[]): string {
  const end = points[points.length - 1]?.[1] ?? 0;
  if (points.every(([, value]) => value === 0)) return "nothing is collected here";
  const half = halfWay(points);
  if (half !== undefined) return `half of it by alpha ${fixed(half, 2)}`;
  return end === 0
    ? "what is collected is given back by the end"
    : "it rises and falls on the way, so that no one alpha is half of it";
}

function between(points: readonly Point[], alpha: number): number {
  const next = points.findIndex(([at]) => at >= alpha);
  const [a, b] = [points[next - 1], points[next < 0 ? points.length - 1 : next]];
  if (b === undefined) return 0;
  if (a === undefined || b[0] === a[0]) return b[1];
  return a[1] + ((b[1] - a[1]) * (alpha - a[0])) / (b[0] - a[0]);
}
