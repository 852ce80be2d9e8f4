import { assign, svg } from "../util/dom.js";
import { onWidth } from "../util/width.js";
import type { Axis } from "./axis.js";

export interface Margins {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

export type Tick = readonly [x: number, text: string];

/** About the width of a figure, in pixels: to measure a text would cost a layout. */
const LETTER = 6.5;

/** The quarters of alpha, below charts along the path. */
export const QUARTERS = [0, 0.25, 0.5, 0.75, 1];

/** What all charts share: an SVG as wide as its place, margins, ticks, grid and a cursor. */
export class ChartFrame {
  readonly element: SVGSVGElement;
  readonly height: number;
  readonly #margins: Margins;
  readonly #marks = svg("g");
  readonly #cursor = svg("line", { class: "igw-cursor" });
  readonly #knob = svg("circle", { class: "igw-knob", r: 4 });
  #width = 320;

  /** `layOut` is called when the width has changed. */
  constructor(
    name: string,
    height: number,
    margins: Margins,
    layOut: () => void,
    signal: AbortSignal,
  ) {
    this.element = svg("svg", { role: "img", class: `igw-${name}`, height }, this.#marks);
    this.height = height;
    this.#margins = margins;
    const resize = (width: number) => {
      // A place that is narrower than its margins is about to be laid out anew.
      if (width <= margins.left + margins.right || width === this.#width) return;
      this.#width = width;
      layOut();
    };
    onWidth(this.element, resize, signal);
  }

  get width(): number {
    return this.#width;
  }

  get left(): number {
    return this.#margins.left;
  }

  get right(): number {
    return this.#width - this.#margins.right;
  }

  get top(): number {
    return this.#margins.top;
  }

  get bottom(): number {
    return this.height - this.#margins.bottom;
  }

  /** From bottom to top, as axes want it. */
  get vertical(): readonly [number, number] {
    return [this.bottom, this.top];
  }

  /** Where a share of the width between the margins is. */
  x(share: number): number {
    return this.left + share * (this.right - this.left);
  }

  /** The share of it at which a pointer is, kept within 0 and 1. */
  shareAt({ clientX }: PointerEvent): number {
    const box = this.element.getBoundingClientRect();
    const x = ((clientX - box.left) / box.width) * this.#width;
    return Math.min(Math.max((x - this.left) / (this.right - this.left), 0), 1);
  }

  /** Replaces what is drawn, but for the cursor. */
  draw(...marks: readonly Iterable<SVGElement>[]): void {
    assign(this.element, { viewBox: `0 0 ${this.#width} ${this.height}`, width: this.#width });
    this.#marks.replaceChildren(...marks.flatMap((some) => [...some]));
  }

  /** The line at the bottom, with what stands below it. */
  *below(ticks: Iterable<Tick> = [], name = ""): Generator<SVGElement> {
    const { left, right, bottom } = this;
    yield line("igw-tick", left, bottom, right, bottom);
    for (const [x, text] of ticks) {
      yield line("igw-tick", x, bottom, x, bottom + 4);
      // A last tick at the edge is written inwards.
      const anchor = this.#width - x < 12 ? "end" : "middle";
      yield svg("text", { x, y: bottom + 15, "text-anchor": anchor }, text);
    }
    if (name) yield this.text(name, this.height - 3);
  }

  /** Lines across, the one at zero of a class of its own, with their values on the left, of the class `name`. */
  *grid(
    axis: Axis,
    labels: readonly (readonly [number, string])[],
    name = "",
    zero = "igw-gridline",
  ): Generator<SVGElement> {
    for (const [value, text] of labels) {
      const y = axis.at(value);
      yield line(value === 0 ? zero : "igw-gridline", this.left, y, this.right, y);
      yield this.label(this.left - 6, y, "end", text, name);
    }
  }

  /** A text beside the chart, drawn narrower where the margin has no room for it. */
  label(x: number, y: number, anchor: string, text: string, name = ""): SVGElement {
    const place = { x, y, "text-anchor": anchor, "dominant-baseline": "central", class: name };
    const room = (anchor === "end" ? x : this.#width - x) - 1;
    const narrowed = { textLength: room, lengthAdjust: "spacingAndGlyphs" };
    return svg("text", text.length * LETTER > room ? { ...place, ...narrowed } : place, text);
  }

  /** A text in the middle. */
  text(text: string, y: number): SVGElement {
    return svg("text", { x: this.x(0.5), y, "text-anchor": "middle" }, text);
  }

  /** An upright line at `x`, with a knob at `y` where there is one. */
  moveCursor(x: number, y: number | undefined): void {
    // Once, as every change of the tree costs the page a layout.
    if (this.#knob.parentNode === null) this.element.append(this.#cursor, this.#knob);
    assign(this.#cursor, { x1: x, x2: x, y1: this.top, y2: this.bottom });
    assign(this.#knob, { cx: x, cy: y ?? 0, hidden: y === undefined });
  }
}

export function line(name: string, x1: number, y1: number, x2: number, y2: number): SVGElement {
  return svg("line", { class: name, x1, y1, x2, y2 });
}
