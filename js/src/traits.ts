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
  /** Where no kernel is behind it: of each wish, the values that can be had. */
  readonly _offered?: Readonly<Record<string, readonly unknown[]>>;
}

export type Chosen = Settings & Look;
export type ImageTraits = Chosen & Offer;

export const WISHES = ["baseline", "target", "method", "n_steps"] as const;
export const LOOKS = ["alpha", "opacity", "clip", "sign", "colormap"] as const;

/** A save is answered by several messages of the kernel's, each of which costs the page a part of a frame. */
const SAVE_EVERY = 400;

/**
 * The synchronised traits of one model: read, chosen at once on this side, saved a little later.
 *
 * What is chosen is held here until it is saved, and not in the model: the kernel repeats each value that it is sent,
 * and a model takes that for news where the person has gone on meanwhile, so that alpha would jump back.
 */
export class Traits {
  readonly #model: AnyModel<ImageTraits>;
  readonly #save: Throttle;
  #held: Partial<Chosen> = {};
  readonly #listeners = new Map<keyof ImageTraits, Set<() => void>>();

  constructor(model: AnyModel<ImageTraits>, signal: AbortSignal) {
    this.#model = model;
    this.#save = new Throttle(SAVE_EVERY, () => this.#write(), signal);
  }

  get<K extends keyof ImageTraits>(name: K): ImageTraits[K] {
    const held: Partial<ImageTraits> = this.#held;
    return held[name] ?? this.#model.get(name);
  }

  /** Whether a value can be had; a recording holds but some. */
  offers(name: keyof Chosen, value: unknown): boolean {
    return this.#model.get("_offered")?.[name]?.includes(value) ?? true;
  }

  /** Every view of the model sees it at once; the kernel within half a second. */
  set<K extends keyof Chosen>(name: K, value: ImageTraits[K]): void {
    if (this.get(name) === value) return;
    this.#held = { ...this.#held, [name]: value };
    this.#save.call();
    // Once saved, the model has told them.
    if (name in this.#held)
      for (const listener of [...(this.#listeners.get(name) ?? [])]) listener();
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
      const listeners = this.#listeners.get(name) ?? new Set();
      this.#listeners.set(name, listeners.add(listener));
      this.#model.on(`change:${name}`, listener);
      const leave = () => {
        listeners.delete(listener);
        this.#model.off(`change:${name}`, listener);
      };
      signal.addEventListener("abort", leave, { once: true });
    }
  }

  #write(): void {
    for (const name of Object.keys(this.#held) as (keyof Chosen)[])
      this.#model.set(name, this.get(name));
    this.#held = {};
    this.#model.save_changes();
  }
}
