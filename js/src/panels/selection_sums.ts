import type { CumulativeMap } from "../core/cumulative_map.js";
import type { Point } from "../core/protocol.js";
import type { Picture } from "../core/store.js";
import { maskOf, type Region } from "../views/region.js";

/** The size of a region and what it has collected along the path. */
export interface RegionSum {
  readonly pixels: number;
  readonly curve: readonly Point[];
}

/** Sums over regions, each made once a picture: a region and a picture's map never change. */
export class RegionCurves {
  readonly #known = new WeakMap<CumulativeMap, WeakMap<Region, RegionSum>>();

  of({ begin, map }: Picture, region: Region): RegionSum {
    const known = this.#known.get(map) ?? new WeakMap<Region, RegionSum>();
    this.#known.set(map, known);
    const found = known.get(region);
    if (found !== undefined) return found;
    const [height = 0, width = 0] = begin.display.shape;
    const mask = maskOf(region, width, height);
    const made = {
      pixels: mask.reduce((sum, one) => sum + one, 0),
      curve: map.maskCurve(mask),
    };
    known.set(region, made);
    return made;
  }
}
