import type { Traits } from "../core/traits.js";
import type { Regions } from "./selections.js";

/** As many as the kernel keeps. */
const MOST_REGIONS = 32;

/** Regions drawn here are those of every view, and of Python. */
export function tieRegions(regions: Regions, traits: Traits, signal: AbortSignal): void {
  const isSame = () => JSON.stringify(traits.get("_regions")) === JSON.stringify(regions.get());
  const take = () => {
    if (isSame()) return;
    const given = traits.get("_regions");
    regions.set(given);
    regions.select(given.length - 1);
  };
  const give = () => {
    if (isSame()) return;
    traits.set("_regions", regions.get().slice(-MOST_REGIONS));
    traits.flush();
  };
  take();
  traits.on(["_regions"], take, signal);
  regions.subscribe(give, signal);
}
