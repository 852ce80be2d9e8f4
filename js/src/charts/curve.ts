import type { Point } from "../core/protocol.js";
import { assign, html, svg, write } from "../util/dom.js";
import { fixed, percent, signed } from "../util/format.js";
import { onWidth } from "../util/width.js";
import { along, reaches } from "./along.js";
import { axisOver, labelled } from "./axis.js";
import { panel } from "./fold.js";

const HEIGHT = 132;
const MARGIN = { left: 50, right: 10, top: 8, bottom: 20 };

/** Of what the curve is: a pixel or a region, by name. */
export interface Subject {
  readonly name: string;
  readonly line: readonly Point[];
}

/** When does it switch on? What a pixel or a region has collected up to alpha, against alpha. */
export class Curve {
  readonly element: HTMLElement;
  readonly #frame = svg("svg", { role: "img", class: "igw-curve", height: HEIGHT });
  readonly #marks = svg("g");
  readonly #cursor = svg("line", {
    class: "igw-cursor",
    y1: MARGIN.top,
    y2: HEIGHT - MARGIN.bottom,
  });
  readonly #knob = svg("circle", { class: "igw-knob", r: 4 });
  readonly #words = html("p", { class: "igw-note" });
  #subject: Subject | undefined;
  #alpha = 0;
  #width = 300;
  #at: (value: number) => number = () => 0;

  constructor(signal: AbortSignal) {
    this.#frame.append(this.#marks, this.#cursor, this.#knob);
    this.element = panel("When it switches on", "curve-panel", this.#frame, this.#words);
    onWidth(
      this.element,
      (width) => {
        this.#width = width;
        this.#layOut();
      },
      signal,
    );
    this.#layOut();
  }

  show(subject: Subject | undefined, alpha: number): void {
    this.#alpha = alpha;
    if (subject?.name === this.#subject?.name && subject?.line === this.#subject?.line)
      this.#move();
    else {
      this.#subject = subject;
      this.#layOut();
    }
  }

  #x(alpha: number): number {
    return MARGIN.left + alpha * (this.#width - MARGIN.left - MARGIN.right);
  }

  #layOut(): void {
    const bottom = HEIGHT - MARGIN.bottom;
    const values = (this.#subject?.line ?? []).map(([, value]) => value);
    const axis = axisOver(values.length > 0 ? values : [0, 1], [bottom, MARGIN.top], 3);
    this.#at = axis.at;
    assign(this.#frame, { viewBox: `0 0 ${this.#width} ${HEIGHT}`, width: this.#width });
    const [start, end] = [this.#x(0), this.#x(1)];
    const marks: SVGElement[] = [];
    for (const alpha of [0, 0.25, 0.5, 0.75, 1]) {
      const x = this.#x(alpha);
      const anchor = alpha === 1 ? "end" : "middle";
      marks.push(svg("line", { class: "igw-tick", x1: x, x2: x, y1: bottom, y2: bottom + 4 }));
      marks.push(svg("text", { x, y: bottom + 15, "text-anchor": anchor }, String(alpha)));
    }
    marks.push(svg("line", { class: "igw-tick", x1: start, x2: end, y1: bottom, y2: bottom }));
    if (this.#subject !== undefined) {
      for (const [value, text] of labelled(axis.ticks)) {
        const y = axis.at(value);
        const name = value === 0 ? "igw-tick" : "igw-gridline";
        const label = { x: start - 6, y, "text-anchor": "end", "dominant-baseline": "central" };
        marks.push(svg("line", { class: name, x1: start, x2: end, y1: y, y2: y }));
        marks.push(svg("text", label, text));
      }
      const points = this.#subject.line.map(
        ([alpha, value]) => `${this.#x(alpha).toFixed(2)} ${axis.at(value).toFixed(2)}`,
      );
      marks.push(svg("path", { class: "igw-output", d: `M${points.join("L")}` }));
    }
    this.#marks.replaceChildren(...marks);
    this.#move();
  }

  #move(): void {
    const x = this.#x(this.#alpha);
    assign(this.#cursor, { x1: x, x2: x });
    const line = this.#subject?.line ?? [];
    const y = this.#at(along(line, this.#alpha));
    assign(this.#knob, { cx: x, cy: y, hidden: line.length === 0 });
    const words = this.#inWords();
    write(this.#words, words);
    assign(this.#frame, { "aria-label": `curve: ${words}` });
  }

  #inWords(): string {
    if (this.#subject === undefined) return "Point at a pixel, or select a region.";
    const { name, line } = this.#subject;
    const end = line[line.length - 1]?.[1] ?? 0;
    const value = along(line, this.#alpha);
    const here = `${name}: ${signed(value)} of ${signed(end)} up to alpha ${fixed(this.#alpha, 2)}`;
    if (end === 0) return here;
    const half = reaches(line, end / 2);
    const share = percent(value / end, 0);
    return half === undefined ? here : `${here} (${share}); half of it by ${fixed(half, 2)}.`;
  }
}
