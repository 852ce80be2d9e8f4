import type { Field } from "../field.js";
import { maskOf, type Region } from "../pictures/region.js";
import type { Point } from "../protocol.js";
import type { Picture } from "../store.js";

/** The size of a region and what it has collected along the path. */
export interface RegionSum {
  readonly pixels: number;
  readonly curve: readonly Point[];
}

/** Sums over regions, each made once a picture: a region and a picture's field never change. */
export class RegionCurves {
  readonly #known = new WeakMap<Field, WeakMap<Region, RegionSum>>();

  of({ begin, field }: Picture, region: Region): RegionSum {
    const known = this.#known.get(field) ?? new WeakMap<Region, RegionSum>();
    this.#known.set(field, known);
    const found = known.get(region);
    if (found !== undefined) return found;
    const mask = maskOf(region, begin.width, begin.height);
    const made = {
      pixels: mask.reduce((sum, one) => sum + one, 0),
      curve: field.regionCurve(mask),
    };
    known.set(region, made);
    return made;
  }
}
