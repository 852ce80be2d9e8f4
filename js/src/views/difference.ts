import type { Picture } from "../core/store.js";
import type { Look } from "../core/traits.js";
import { areSame, StaticMap } from "../image/static_map.js";
import { assign } from "../util/dom.js";
import { fixed, percent } from "../util/format.js";
import type { Zoom } from "./zoom.js";

/** What one map has more than another, collected up to alpha, over the photo in the colours of both. */
export class Difference {
  readonly #still: StaticMap;
  #one = new Float32Array();
  #other = new Float32Array();
  /** All that the picture depends on: where nothing of it has changed, nothing is drawn. */
  #drawn: readonly unknown[] = [];

  constructor(zoom: Zoom, signal: AbortSignal) {
    this.#still = new StaticMap(zoom, signal);
  }

  get element(): HTMLElement {
    return this.#still.element;
  }

  /** Hidden where there is nothing to compare: no second map, another size, or another reading of the model. */
  draw(
    one: Picture | undefined,
    other: Picture | undefined,
    look: Look,
    scale: number,
    lut: Uint8Array | undefined,
  ): void {
    const canCompare = one !== undefined && other !== undefined && comparable(one, other);
    assign(this.element, { hidden: !canCompare || lut === undefined });
    if (!canCompare || lut === undefined) return;
    const { alpha, sign, opacity, ground } = look;
    const asked = [one, other, alpha, scale, sign, opacity, ground, lut];
    if (areSame(asked, this.#drawn)) return;
    this.#drawn = asked;
    const share = this.#subtract(one, other, alpha);
    this.#still.draw(one.begin, this.#other, { lut, scale, sign, opacity, ground });
    this.#still.write(
      "Difference: first pane minus second",
      `‖difference‖ is ${percent(share)} of ‖first‖`,
      `difference of the first two panes, alpha ${fixed(alpha, 2)}, its norm ${percent(share)} of the first`,
    );
  }

  /** The difference into `#other`; its norm as a share of the first's is returned. */
  #subtract(one: Picture, other: Picture, alpha: number): number {
    const pixels = one.begin.display.size;
    if (this.#one.length !== pixels) {
      this.#one = new Float32Array(pixels);
      this.#other = new Float32Array(pixels);
    }
    one.map.valuesAt(alpha, this.#one);
    other.map.valuesAt(alpha, this.#other);
    let distance = 0;
    let size = 0;
    for (let i = 0; i < pixels; i++) {
      const value = this.#one[i] as number;
      const difference = value - (this.#other[i] as number);
      size += value * value;
      distance += difference * difference;
      this.#other[i] = difference;
    }
    return size > 0 ? Math.sqrt(distance / size) : Number.NaN;
  }
}

/** Maps in the same unit, of pictures of the same size. */
export function comparable(one: Picture, other: Picture): boolean {
  return (
    one.begin.display.shape.join() === other.begin.display.shape.join() &&
    one.begin.settings.output === other.begin.settings.output &&
    // What is not complete is a gradient, in another unit than what adds up to F.
    (one.plan.delta === null) === (other.plan.delta === null)
  );
}
