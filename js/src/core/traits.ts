import type { AnyModel } from "@anywidget/types";
import { onAbort } from "../util/life.js";
import { Listeners } from "../util/listeners.js";
import { Throttle } from "../util/timing.js";
import type { KindData } from "./kind.js";
import { SETTINGS, SETTINGS_TABLE, type Settings } from "./settings.js";
import {
  between,
  bytes,
  either,
  flag,
  list,
  look,
  number,
  offered,
  oneOf,
  record,
  row,
  text,
  texts,
  type ValuesOf,
  whole,
  writable,
} from "./trait_table.js";

export type Sign = "all" | "positive" | "negative";

const SETTINGS_VALIDATORS = Object.fromEntries(
  Object.entries(SETTINGS_TABLE).map(([name, { isValid }]) => [name, isValid]),
);

/** What every kind of explorer has. */
export const CORE_TRAITS = {
  ...SETTINGS_TABLE,
  alpha: look<number>("number", between(0, 1), 1),
  /** The percentile of |attribution| that gets the colour map's ends. */
  clip: look<number>("number", between(0, 100), 99),
  sign: look<Sign>("text", oneOf("all", "positive", "negative"), "all"),
  colormap: look<string>("text", text, ""),
  /** In what each pane differs from the traits; the first must be empty. */
  _panes: writable<readonly Partial<Settings>[]>(
    "panes",
    list(record({}, SETTINGS_VALIDATORS), 1, 4),
    [{}],
  ),
  /** Written by the host, which counts the views. */
  _view_count: writable<number | null>("count", either(whole, oneOf(null)), null),
  /** A sentence for the status line; the number tells a new one from an old. */
  _notice: offered<{ readonly text?: string; readonly number?: number; readonly lasts?: boolean }>(
    record({}, { text, number, lasts: flag }),
    {},
  ),
  _methods: offered<readonly string[]>(texts, []),
  _outputs: offered<readonly string[]>(texts, []),
  _channels: offered<readonly string[]>(texts, []),
  _baselines: offered<readonly string[]>(texts, []),
  _colormaps: offered<readonly string[]>(texts, []),
  _labels: offered<readonly string[]>(texts, []),
  // A list of as many is made.
  _n_classes: offered<number>((value) => whole(value) && (value as number) <= 1e6, 0),
  _top: offered<readonly (readonly [index: number, probability: number])[]>(
    list(row(whole, number)),
    [],
  ),
  /** 256 RGB colours. */
  _lut: offered<DataView>(
    (value) => bytes(value) && (value as DataView).byteLength === 768,
    new DataView(new ArrayBuffer(768)),
  ),
};
export type CoreTraits = ValuesOf<typeof CORE_TRAITS> & Recorded;

/** How a picture is looked at. None of these costs the kernel more than to take note. */
export type Look = Pick<CoreTraits, "alpha" | "clip" | "sign" | "colormap">;

/** Where no kernel is behind it: of each setting, the values that are available. */
export interface Recorded {
  readonly _offered?: Readonly<Record<string, readonly unknown[]>>;
}

/** A save is answered by several messages of the kernel's, each of which costs the page a part of a frame. */
const SAVE_EVERY = 400;

/**
 * The synchronised traits of one model: read, set at once on this side, saved a little later.
 *
 * What is set is held here until it is saved, and not in the model: the kernel repeats each value that it is sent, and a
 * model takes that for news where the person has gone on meanwhile, so that alpha would jump back.
 */
export class Traits<T extends CoreTraits = CoreTraits> {
  readonly kind: KindData;
  /** Those that say how a picture is looked at. */
  readonly looks: readonly (keyof CoreTraits)[];
  readonly #model: AnyModel<CoreTraits>;
  readonly #save: Throttle;
  #held: Readonly<Record<string, unknown>> = {};
  /** Of each trait what was looked at last, and the last value that was valid. */
  readonly #known = new Map<string, { readonly seen: unknown; readonly value: unknown }>();
  readonly #listeners = new Map<string, Listeners>();

  constructor(model: AnyModel<T>, kind: KindData, signal: AbortSignal) {
    this.#model = model as unknown as AnyModel<CoreTraits>;
    this.kind = kind;
    // Those of the kind among them; whoever reads one by its name knows its own.
    this.looks = Object.keys(kind.traits).filter(
      (name) => kind.traits[name]?.isLook,
    ) as (keyof CoreTraits)[];
    this.#save = new Throttle(SAVE_EVERY, () => this.#write(), signal);
  }

  get<K extends keyof T & string>(name: K): T[K] {
    return (name in this.#held ? this.#held[name] : this.#read(name)) as T[K];
  }

  /** As the kernel says, or has last said in a form that can be read. */
  #read(name: string): unknown {
    const seen: unknown = this.#model.get(name as keyof CoreTraits);
    const known = this.#known.get(name);
    if (known !== undefined && known.seen === seen) return known.value;
    const { isValid, fallback } = this.kind.traits[name] ?? {};
    const value = (isValid?.(seen) ?? true) ? seen : known ? known.value : fallback;
    this.#known.set(name, { seen, value });
    return value;
  }

  /** Whether a value is available; a recording holds but some. */
  offers(name: string, value: unknown): boolean {
    return this.#model.get("_offered")?.[name]?.includes(value) ?? true;
  }

  /** Whether there is no kernel behind it, but what one has said. */
  get isRecording(): boolean {
    return this.#model.get("_offered") !== undefined;
  }

  /** Every view of the model sees it at once; the kernel within half a second. */
  set<K extends keyof T & string>(name: K, value: T[K]): void {
    if (this.get(name) === value) return;
    this.#held = { ...this.#held, [name]: value };
    this.#save.call();
    // Once saved, the model has told them.
    if (name in this.#held) this.#listeners.get(name)?.tell();
  }

  /** Tells the kernel now, as when a finger is lifted. */
  flush(): void {
    this.#save.flush();
  }

  /** How pictures are looked at now, as one value. */
  get look(): Look {
    const look = this.looks.map((name) => [name, this.get(name as keyof T & string)] as const);
    return Object.fromEntries(look) as unknown as Look;
  }

  /** What a pane asks, written as the kernel writes it. */
  settings(pane: number): Settings {
    const core: Traits = this as unknown as Traits;
    const own = Object.fromEntries(SETTINGS.map((name) => [name, core.get(name)]));
    const asked = { ...own, ...core.get("_panes")[pane] } as unknown as Settings;
    return asked.method === "auto" ? { ...asked, n_steps: 0 } : { ...asked, tol: 0 };
  }

  on(names: readonly (keyof T & string)[], listener: () => void, signal: AbortSignal): void {
    for (const name of names) {
      const listeners = this.#listeners.get(name) ?? new Listeners();
      this.#listeners.set(name, listeners);
      listeners.add(listener, signal);
      this.#model.on(`change:${name as "alpha"}`, listener);
      onAbort(signal, () => this.#model.off(`change:${name as "alpha"}`, listener));
    }
  }

  #write(): void {
    for (const [name, value] of Object.entries(this.#held))
      this.#model.set(name as "alpha", value as number);
    this.#held = {};
    this.#model.save_changes();
  }
}
