import type { AnyModel } from "@anywidget/types";
import type { Settings } from "./protocol.js";
import { Throttle } from "./timing.js";

export type Sign = "all" | "positive" | "negative";

/** How the picture is looked at. None of these costs the kernel more than to take note. */
export interface Look {
  readonly alpha: number;
  readonly opacity: number;
  readonly clip: number;
  readonly sign: Sign;
  readonly colormap: string;
}

/** What the kernel offers; the browser only reads these. */
export interface Offer {
  readonly _methods: readonly string[];
  readonly _baselines: readonly string[];
  readonly _colormaps: readonly string[];
  readonly _labels: readonly string[];
  readonly _n_classes: number;
  readonly _top: readonly (readonly [index: number, probability: number])[];
  readonly _lut: DataView;
}

export type Chosen = Settings & Look;
export type ImageTraits = Chosen & Offer;

export const WISHES = ["baseline", "target", "method", "n_steps"] as const;
export const LOOKS = ["alpha", "opacity", "clip", "sign", "colormap"] as const;

const SAVE_EVERY = 100;

/** The synchronised traits of one model: read, chosen at once on this side, saved a little later. */
export class Traits {
  readonly #model: AnyModel<ImageTraits>;
  readonly #save: Throttle;

  constructor(model: AnyModel<ImageTraits>, signal: AbortSignal) {
    this.#model = model;
    this.#save = new Throttle(SAVE_EVERY, () => model.save_changes(), signal);
  }

  get<K extends keyof ImageTraits>(name: K): ImageTraits[K] {
    return this.#model.get(name);
  }

  /** Every view of the model sees it at once; the kernel within a tenth of a second. */
  set<K extends keyof Chosen>(name: K, value: ImageTraits[K]): void {
    if (this.#model.get(name) === value) return;
    this.#model.set(name, value);
    this.#save.call();
  }

  /** Tell the kernel now, as when a finger is lifted. */
  flush(): void {
    this.#save.flush();
  }

  get wishes(): Settings {
    return {
      baseline: this.get("baseline"),
      target: this.get("target"),
      method: this.get("method"),
      n_steps: this.get("n_steps"),
    };
  }

  on(names: readonly (keyof ImageTraits)[], listener: () => void, signal: AbortSignal): void {
    for (const name of names) {
      this.#model.on(`change:${name}`, listener);
      signal.addEventListener("abort", () => this.#model.off(`change:${name}`, listener), {
        once: true,
      });
    }
  }
}
