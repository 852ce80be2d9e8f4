import { div, html, span, write } from "../util/dom.js";
import { shorten, significant } from "../util/format.js";

/** The colour map with the values of its ends and its middle; only the upper half if values are never negative. */
export class ColorBar {
  readonly element: HTMLElement;
  readonly #fromZero: boolean;
  readonly #per: string;
  readonly #canvas = html("canvas", {
    class: "igw-gradient",
    width: 256,
    height: 1,
    "aria-hidden": "true",
  });
  readonly #low = html("span");
  readonly #high = html("span");
  readonly #unit = span("igw-unit");

  constructor(element: string, fromZero = false) {
    this.#fromZero = fromZero;
    this.#per = `per ${element}`;
    const numbers = div("igw-ends", this.#low, html("span", {}, fromZero ? "" : "0"), this.#high);
    this.element = div("igw-colorbar", this.#canvas, numbers, this.#unit);
  }

  paint(lut: Uint8Array): void {
    const context = this.#canvas.getContext("2d");
    const row = context?.createImageData(256, 1);
    if (context == null || row === undefined) return;
    for (let i = 0; i < 256; i++) {
      const from = this.#fromZero ? 128 + (i >> 1) : i;
      row.data.set(lut.subarray(3 * from, 3 * from + 3), 4 * i);
      row.data[4 * i + 3] = 255;
    }
    context.putImageData(row, 0, 0);
  }

  show(scale: number, unit: string): void {
    write(this.#low, this.#fromZero ? "0" : significant(-scale, 2));
    write(this.#high, scale > 0 ? `+${significant(scale, 2)}` : "0");
    write(this.#unit, unit && `${shorten(unit, 24)} ${this.#per}`);
  }
}
