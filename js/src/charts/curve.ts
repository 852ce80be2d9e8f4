import type { Point } from "../core/protocol.js";
import { assign, paragraph, svg, write } from "../util/dom.js";
import { fixed, percent, signed } from "../util/format.js";
import { unfolded } from "../util/parts.js";
import { along, reaches } from "./along.js";
import { axisOver, labelled } from "./axis.js";
import { ChartFrame, QUARTERS } from "./frame.js";

const MARGINS = { left: 50, right: 10, top: 8, bottom: 20 };

/** What the curve belongs to, by name: an element or a region. */
export interface NamedLine {
  readonly name: string;
  readonly line: readonly Point[];
}

/** Plots what an element or a region has collected up to alpha, over alpha. */
export class Curve {
  readonly element: HTMLElement;
  readonly #frame: ChartFrame;
  readonly #words = paragraph("igw-note");
  #line: NamedLine | undefined;
  readonly #hint: string;
  #alpha = 0;
  #at: (value: number) => number = () => 0;

  constructor(element: string, signal: AbortSignal) {
    this.#hint = `Point at a ${element}, or select a region.`;
    this.#frame = new ChartFrame("curve", 132, MARGINS, () => this.#layOut(), signal);
    this.element = unfolded("When it switches on", "curve-panel", this.#frame.element, this.#words);
    this.#layOut();
  }

  show(plotted: NamedLine | undefined, alpha: number): void {
    this.#alpha = alpha;
    if (plotted?.name === this.#line?.name && plotted?.line === this.#line?.line) this.#move();
    else {
      this.#line = plotted;
      this.#layOut();
    }
  }

  #layOut(): void {
    const frame = this.#frame;
    const line = this.#line?.line ?? [];
    const values = line.map(([, value]) => value);
    const axis = axisOver(values.length > 0 ? values : [0, 1], frame.vertical, 3);
    this.#at = axis.at;
    const places = line.map(
      ([alpha, value]) => `${frame.x(alpha).toFixed(2)} ${axis.at(value).toFixed(2)}`,
    );
    frame.draw(
      frame.below(QUARTERS.map((alpha) => [frame.x(alpha), String(alpha)])),
      this.#line === undefined ? [] : frame.grid(axis, labelled(axis.ticks), "", "igw-tick"),
      this.#line === undefined
        ? []
        : [svg("path", { class: "igw-output", d: `M${places.join("L")}` })],
    );
    this.#move();
  }

  #move(): void {
    const line = this.#line?.line ?? [];
    const y = this.#at(along(line, this.#alpha));
    this.#frame.moveCursor(this.#frame.x(this.#alpha), line.length === 0 ? undefined : y);
    const words = this.#inWords();
    write(this.#words, words);
    assign(this.#frame.element, { "aria-label": `curve: ${words}` });
  }

  #inWords(): string {
    if (this.#line === undefined) return this.#hint;
    const { name, line } = this.#line;
    const end = line[line.length - 1]?.[1] ?? 0;
    const value = along(line, this.#alpha);
    const here = `${name}: ${signed(value)} of ${signed(end)} up to alpha ${fixed(this.#alpha, 2)}`;
    if (end === 0) return here;
    const half = reaches(line, end / 2);
    const share = percent(value / end, 0);
    return half === undefined ? here : `${here} (${share}); half of it by ${fixed(half, 2)}.`;
  }
}
