import type { Frame, Part } from "../core/kind.js";
import type { Begin } from "../core/protocol.js";
import { html, write } from "../util/dom.js";
import { percent } from "../util/format.js";
import { listen } from "../util/life.js";
import { photoOf } from "./photo.js";

/** Width of a stripe, in pixels of the picture. */
const STRIPE = 2;

/** Hatches the pixels in which the input equals the baseline: nothing changes there, and the attribution is 0. */
export class UnchangedPixels implements Part {
  readonly elements = [];
  /** The checkbox; it also tells the share of these pixels. */
  readonly control: HTMLElement;
  readonly #canvas = html("canvas", { class: "igw-hatch", "aria-hidden": "true" });
  readonly #box = html("input", { type: "checkbox" });
  readonly #words = html("span");
  readonly #picture: HTMLElement;
  #begin: Begin | undefined;
  #share = 0;

  /** The hatching is laid over `picture`. */
  constructor(picture: HTMLElement, redraw: () => void, signal: AbortSignal) {
    this.#picture = picture;
    const title =
      "Where input and baseline are equal nothing changes along the path: the attribution is 0";
    const words = "hatch pixels equal to the baseline";
    this.control = html("label", { class: "igw-check", title }, this.#box, words, this.#words);
    listen(this.#box, "change", redraw, signal);
  }

  draw({ picture }: Frame): void {
    if (picture === undefined) return;
    const isOn = this.#box.checked;
    if (!isOn) this.#canvas.remove();
    else if (this.#canvas.parentNode === null) this.#picture.append(this.#canvas);
    if (isOn) this.#hatch(picture.begin);
    write(this.#words, isOn ? ` (${percent(this.#share)})` : "");
  }

  #hatch(begin: Begin): void {
    if (begin === this.#begin) return;
    this.#begin = begin;
    const { width, height, photo, baseline } = photoOf(begin.display);
    this.#canvas.width = width;
    this.#canvas.height = height;
    const context = this.#canvas.getContext("2d");
    const image = context?.createImageData(width, height);
    let count = 0;
    for (let at = 0; at < width * height; at++) {
      if (!same(photo, baseline, 3 * at)) continue;
      count += 1;
      const column = at % width;
      const isStripe = (column + (at - column) / width) % (3 * STRIPE) < STRIPE;
      // Dark stripes on light pixels and light stripes on dark ones.
      const level = (photo[3 * at + 1] as number) > 127 ? 0 : 255;
      if (isStripe) image?.data.set([level, level, level, 170], 4 * at);
    }
    if (image !== undefined) context?.putImageData(image, 0, 0);
    this.#share = count / (width * height);
  }
}

function same(one: Uint8Array, other: Uint8Array, at: number): boolean {
  return one[at] === other[at] && one[at + 1] === other[at + 1] && one[at + 2] === other[at + 2];
}
