import { html } from "../dom.js";
import type { Begin } from "../protocol.js";

/** Width of a stripe, in pixels of the picture. */
const STRIPE = 2;

/** Hatches the pixels in which the input equals the baseline: nothing changes there, and nothing was asked. */
export class NotAsked {
  readonly element = html("canvas", { class: "igw-hatch", "aria-hidden": "true" });
  #begin: Begin | undefined;
  #share = 0;

  /** Which share of the pixels that is. */
  get share(): number {
    return this.#share;
  }

  /** Over a picture, or taken away from it. */
  show(begin: Begin, picture: HTMLElement, isOn: boolean): void {
    if (!isOn) this.element.remove();
    else if (this.element.parentNode !== picture) picture.append(this.element);
    if (!isOn || begin === this.#begin) return;
    this.#begin = begin;
    const { width, height, photo, baseline } = begin;
    this.element.width = width;
    this.element.height = height;
    const context = this.element.getContext("2d");
    const image = context?.createImageData(width, height);
    let count = 0;
    for (let at = 0; at < width * height; at++) {
      if (!same(photo, baseline, 3 * at)) continue;
      count += 1;
      const column = at % width;
      const isStripe = (column + (at - column) / width) % (3 * STRIPE) < STRIPE;
      // Light on dark and dark on light.
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
