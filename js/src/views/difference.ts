import type { StaticMap } from "../core/kind.js";
import type { Picture } from "../core/store.js";
import type { Look } from "../core/traits.js";
import { Changes } from "../util/changes.js";
import { fixed, percent } from "../util/format.js";

/** Draws the first map minus the second, collected up to alpha, in their colours and scale. */
export class Difference {
  readonly #map: StaticMap;
  readonly #changes = new Changes();
  #one = new Float32Array();
  #other = new Float32Array();

  constructor(map: StaticMap) {
    this.#map = map;
  }

  get element(): HTMLElement {
    return this.#map.element;
  }

  /** Hidden if the maps cannot be compared: no second one, another shape, or another unit. */
  draw(
    one: Picture | undefined,
    other: Picture | undefined,
    look: Look,
    scale: number,
    lut: Uint8Array | undefined,
  ): void {
    const canCompare = one !== undefined && other !== undefined && comparable(one, other);
    this.element.hidden = !canCompare || lut === undefined;
    if (!canCompare || lut === undefined) return;
    if (!this.#changes.have(one, other, scale, lut, ...Object.values(look))) return;
    const share = this.#subtract(one, other, look.alpha);
    this.#map.draw(one.begin, this.#other, look, scale, lut);
    this.#map.write(
      "Difference: first pane minus second",
      `‖difference‖ is ${percent(share)} of ‖first‖`,
      `difference of the first two panes, alpha ${fixed(look.alpha, 2)}, its norm ${percent(share)} of the first`,
    );
  }

  /** Writes the difference into `#other`; returns its norm as a share of the first map's norm. */
  #subtract(one: Picture, other: Picture, alpha: number): number {
    const { size } = one.begin.display;
    if (this.#one.length !== size) {
      this.#one = new Float32Array(size);
      this.#other = new Float32Array(size);
    }
    one.map.valuesAt(alpha, this.#one);
    other.map.valuesAt(alpha, this.#other);
    let distance = 0;
    let length = 0;
    for (let i = 0; i < size; i++) {
      const value = this.#one[i] as number;
      const difference = value - (this.#other[i] as number);
      length += value * value;
      distance += difference * difference;
      this.#other[i] = difference;
    }
    return length > 0 ? Math.sqrt(distance / length) : Number.NaN;
  }
}

/** Whether two maps have the same unit and the same shape. */
export function comparable(one: Picture, other: Picture): boolean {
  return (
    one.begin.display.shape.join() === other.begin.display.shape.join() &&
    one.begin.settings.output === other.begin.settings.output &&
    // Without completeness a map is a gradient, in another unit than one that adds up to F.
    (one.plan.delta === null) === (other.plan.delta === null)
  );
}
