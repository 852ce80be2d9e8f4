import type { AnyModel } from "@anywidget/types";
import { onAbort } from "../util/life.js";
import { Listeners } from "../util/listeners.js";
import { Throttle } from "../util/timing.js";
import type { Region } from "../views/region.js";
import type { Settings } from "./protocol.js";
import { FALLBACKS, VALIDATORS } from "./validators.js";

/** What lies under the colours: the photo in light greys, or as it is. */
export type Ground = "grey" | "colour";
export type Sign = "all" | "positive" | "negative";

/** How the picture is looked at. None of these costs the kernel more than to take note. */
export interface Look {
  readonly alpha: number;
  readonly opacity: number;
  readonly ground: Ground;
  readonly clip: number;
  readonly sign: Sign;
  readonly colormap: string;
}

/** A baseline on offer: how it looks, what can be set of it, and what the model says of it. */
export interface Card {
  readonly name: string;
  readonly description: string;
  readonly output: number;
  readonly top: readonly (readonly [label: string, probability: number])[];
  /** In bits, and the most that it could be. */
  readonly entropy: readonly [number, number];
  readonly neutral: boolean;
  readonly parameters: readonly Parameter[];
  /** A PNG. */
  readonly thumbnail: DataView;
}

export type Parameter =
  | { readonly name: string; readonly colour: string }
  | {
      readonly name: string;
      readonly value: number;
      readonly low: number;
      readonly high: number;
      readonly step: number;
      readonly unit: string;
    };

/** What the kernel says of a region; `error` alone where it could not. */
export type Audit =
  | { readonly error: string }
  | {
      readonly region: Region;
      readonly sum: number;
      readonly share: number | null;
      readonly output: number;
      readonly without: number;
      readonly only: number;
      readonly baseline: number;
    };

/** How a rule's map settles. `error`: its distance to the finest map at hand; `estimate`: its own, of its error. */
export interface Curve {
  readonly method: string;
  readonly points: readonly (readonly [
    evaluations: number,
    error: number | null,
    estimate: number | null,
    delta: number | null,
  ])[];
}

/** How much the map depends on the baseline, as far as it is known; nothing where nobody has asked. */
export type Dependence =
  | { readonly kind?: undefined }
  | { readonly kind: "computing"; readonly done: number; readonly total: number }
  | { readonly kind: "failed"; readonly message: string }
  | {
      readonly kind: "ready";
      /** By which its maps are known. */
      readonly number: number;
      readonly asked: Pick<Settings, "target" | "output" | "channel">;
      readonly dependence: number;
      /** Of sums over patches of so many pixels each way. */
      readonly coarse: number;
      readonly patch: number;
      readonly output: number;
      readonly rules: readonly string[];
      readonly rows: readonly {
        readonly name: string;
        readonly output: number;
        readonly sum: number;
        /** Of the variance. */
        readonly share: number;
      }[];
    };

/** What the kernel offers; the browser only reads these. */
export interface Offer {
  /** In what each pane differs from the traits; the first in nothing. */
  readonly _panes: readonly Partial<Settings>[];
  /** Regions drawn in either place, and what the kernel says of them. */
  readonly _regions: readonly Region[];
  readonly _audits: readonly Audit[];
  readonly _cards: readonly Card[];
  readonly _curves: readonly Curve[];
  readonly _dependence: Dependence;
  /** A sentence for the status line; the number tells a new one from an old. */
  readonly _notice: { readonly text?: string; readonly number?: number; readonly lasts?: boolean };
  readonly _methods: readonly string[];
  readonly _outputs: readonly string[];
  readonly _channels: readonly string[];
  readonly _baselines: readonly string[];
  readonly _colormaps: readonly string[];
  readonly _labels: readonly string[];
  readonly _n_classes: number;
  readonly _top: readonly (readonly [index: number, probability: number])[];
  readonly _lut: DataView;
  /** Where no kernel is behind it: of each wish, the values that can be had. */
  readonly _offered?: Readonly<Record<string, readonly unknown[]>>;
}

/** What a person chooses here. */
export type Chosen = Settings &
  Look &
  Pick<Offer, "_panes" | "_regions"> & {
    /** Whether it is to be worked out, and shown, how much depends on the baseline. */
    readonly show_dependence: boolean;
  };
export type ImageTraits = Chosen & Offer;

export const WISHES = [
  "input",
  "baseline",
  "target",
  "output",
  "method",
  "n_steps",
  "tol",
  "channel",
] as const;
export const LOOKS = ["alpha", "opacity", "clip", "sign", "ground", "colormap"] as const;

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
  /** Of each trait what was looked at last, and the last value that had its form. */
  readonly #known = new Map<string, { readonly seen: unknown; readonly value: unknown }>();
  readonly #listeners = new Map<keyof ImageTraits, Listeners>();

  constructor(model: AnyModel<ImageTraits>, signal: AbortSignal) {
    this.#model = model;
    this.#save = new Throttle(SAVE_EVERY, () => this.#write(), signal);
  }

  get<K extends keyof ImageTraits>(name: K): ImageTraits[K] {
    const held: Partial<ImageTraits> = this.#held;
    return held[name] ?? (this.#read(name) as ImageTraits[K]);
  }

  /** As the kernel says, or has last said in a form that can be read. */
  #read(name: keyof ImageTraits): unknown {
    const seen: unknown = this.#model.get(name);
    let known = this.#known.get(name);
    if (known === undefined || known.seen !== seen) {
      const isGood = VALIDATORS[name]?.(seen) ?? true;
      known = { seen, value: isGood ? seen : known ? known.value : (FALLBACKS[name] ?? []) };
      this.#known.set(name, known);
    }
    return known.value;
  }

  /** Whether a value can be had; a recording holds but some. */
  offers(name: keyof Chosen, value: unknown): boolean {
    return this.#model.get("_offered")?.[name]?.includes(value) ?? true;
  }

  /** Whether there is no kernel behind it, but what one has said. */
  get isRecording(): boolean {
    return this.#model.get("_offered") !== undefined;
  }

  /** Every view of the model sees it at once; the kernel within half a second. */
  set<K extends keyof Chosen>(name: K, value: ImageTraits[K]): void {
    if (this.get(name) === value) return;
    this.#held = { ...this.#held, [name]: value };
    this.#save.call();
    // Once saved, the model has told them.
    if (name in this.#held) this.#listeners.get(name)?.tell();
  }

  /** Tell the kernel now, as when a finger is lifted. */
  flush(): void {
    this.#save.flush();
  }

  /** What a pane asks for, written as the kernel writes it. */
  wishes(pane: number): Settings {
    const own = {
      input: this.get("input"),
      baseline: this.get("baseline"),
      target: this.get("target"),
      output: this.get("output"),
      method: this.get("method"),
      n_steps: this.get("n_steps"),
      tol: this.get("tol"),
      channel: this.get("channel"),
    };
    const wish = { ...own, ...this.get("_panes")[pane] };
    return wish.method === "auto" ? { ...wish, n_steps: 0 } : { ...wish, tol: 0 };
  }

  on(names: readonly (keyof ImageTraits)[], listener: () => void, signal: AbortSignal): void {
    for (const name of names) {
      const listeners = this.#listeners.get(name) ?? new Listeners();
      this.#listeners.set(name, listeners);
      listeners.add(listener, signal);
      this.#model.on(`change:${name}`, listener);
      onAbort(signal, () => this.#model.off(`change:${name}`, listener));
    }
  }

  #write(): void {
    for (const name of Object.keys(this.#held) as (keyof Chosen)[])
      this.#model.set(name, this.get(name));
    this.#held = {};
    this.#model.save_changes();
  }
}
