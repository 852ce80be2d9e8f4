import type { Host, KindView } from "../core/kind.js";
import type { Store } from "../core/store.js";
import {
  bytes,
  either,
  flag,
  list,
  number,
  offered,
  record,
  row,
  text,
  type ValuesOf,
} from "../core/trait_table.js";
import type { CoreTraits, Traits } from "../core/traits.js";
import { assign, button, div, html, span, write } from "../util/dom.js";
import { keepFocus } from "../util/focus.js";
import { shorten } from "../util/format.js";
import { lifeWithin, listen, onAbort } from "../util/life.js";
import { section } from "../util/parts.js";
import { Throttle } from "../util/timing.js";
import { CardView, detailOf } from "./baseline_card.js";
import type { BaselineMemory } from "./baseline_memory.js";
import { BaselineParameters } from "./baseline_parameters.js";
import { baselineInWords, kindOf } from "./baseline_text.js";
import { BaselineUpload } from "./baseline_upload.js";
import { KnownCards } from "./known_cards.js";

/** Period of saves while a slider is dragged: each value is sampled coarsely, the last one finely. */
const SAVE_EVERY = 120;
/** Period of requests for cards: each evaluates all baselines. */
const ASK_EVERY = 600;
/** A baseline whose card stays away is asked for so many times. */
const MOST_ASKED = 3;

/** A card of the catalog: a baseline, its picture, its parameters, and the model's output. */
export interface Card {
  readonly name: string;
  readonly description: string;
  readonly output: number;
  readonly top: readonly (readonly [label: string, probability: number])[];
  /** In bits, and its maximum. */
  readonly entropy: readonly [number, number];
  readonly neutral: boolean;
  readonly parameters: readonly Parameter[];
  /** A PNG; empty if the baseline has no picture. */
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

const parameter = {
  name: text,
  value: number,
  low: number,
  high: number,
  step: number,
  unit: text,
};
export const BASELINES_TRAITS = {
  _cards: offered<readonly Card[]>(
    list(
      record({
        name: text,
        description: text,
        output: number,
        top: list(row(text, number)),
        entropy: row(number, number),
        neutral: flag,
        parameters: list(either(record({ name: text, colour: text }), record(parameter))),
        thumbnail: bytes,
      }),
    ),
    [],
  ),
};
export type BaselinesTraits = CoreTraits & ValuesOf<typeof BASELINES_TRAITS>;

/** The baselines on offer: a strip of cards that choose one, and all about the one that is chosen. */
export class Baselines {
  /** Cards side by side, under the pictures. */
  readonly strip: HTMLElement;
  /** What is known of the chosen one, its parameters, and files. */
  readonly element: HTMLElement;
  readonly #store: Store;
  readonly #traits: Traits<BaselinesTraits>;
  readonly #memory: BaselineMemory;
  readonly #signal: AbortSignal;
  readonly #cards = html("div", {
    class: "igw-cards",
    role: "group",
    "aria-label": "baseline gallery",
  });
  readonly #toggle = button("pictures and numbers", {
    "aria-pressed": "false",
    title: "Shows each baseline and what the model says of it, which costs a forward pass each.",
  });
  readonly #note = html("p", { class: "igw-note", "aria-live": "polite" });
  readonly #name = html("p", { class: "igw-sentence" });
  readonly #detail = div("igw-detail");
  readonly #place = div("igw-place");
  readonly #save: Throttle;
  readonly #ask: Throttle;
  readonly #known = new KnownCards();
  #shown = new Map<string, CardView>();
  #parameters:
    | { readonly of: string; readonly view: BaselineParameters; life: AbortController }
    | undefined;
  #isStripOpen = false;
  #isTabOpen = false;
  /** Cards are made of what a slider is let go at. */
  #isDragging = false;
  /** What is shown has no card yet, or that of another target. */
  #isDue = false;
  #asked = { baseline: "", times: 0 };

  constructor(
    { store, traits, signal }: Host<BaselinesTraits>,
    { tools, files }: KindView["baselines"],
    memory: BaselineMemory,
  ) {
    this.#store = store;
    this.#traits = traits;
    this.#memory = memory;
    this.#signal = signal;
    this.#save = new Throttle(SAVE_EVERY, () => traits.flush(), signal);
    this.#ask = new Throttle(ASK_EVERY, () => this.#request(), signal);
    this.strip = div(
      "igw-baselines",
      div("igw-row", span("igw-title", "Baselines"), this.#toggle),
      this.#cards,
    );
    const upload = files && new BaselineUpload(store, files, this.#note, signal);
    this.element = section(
      "Baseline: what is absence here?",
      "gallery",
      this.#name,
      this.#place,
      this.#detail,
      this.#note,
      div("igw-row", ...tools, ...(upload ? [upload.element] : [])),
    );
    upload?.acceptDrops(this.element, this.strip);
    this.#listen();
  }

  /** The tab of `element` was opened or left. */
  show(isOpen: boolean): void {
    this.#isTabOpen = isOpen;
    if (isOpen) this.#ask.call();
  }

  get #isOpen(): boolean {
    return this.#isStripOpen || this.#isTabOpen;
  }

  #listen(): void {
    const signal = this.#signal;
    const toggle = () => {
      this.#isStripOpen = !this.#isStripOpen;
      assign(this.#toggle, { "aria-pressed": String(this.#isStripOpen) });
      if (this.#isStripOpen) this.#ask.call();
      this.#draw();
    };
    listen(this.#toggle, "click", toggle, signal);
    const renew = () => {
      // Their numbers are of another target, or in another unit.
      this.#known.outdate();
      if (this.#isOpen) this.#ask.call();
      this.#draw();
    };
    this.#traits.on(["_baselines", "target", "output"], renew, signal);
    this.#traits.on(["_baselines"], () => this.#fill(), signal);
    this.#traits.on(["_cards"], () => this.#take(), signal);
    this.#store.subscribe(() => this.#askInTurn(), signal);
    this.#traits.on(["baseline"], () => this.#changed(), signal);
    this.#known.take(this.#traits.get("_cards"));
    this.#fill();
    onAbort(signal, () => this.#release());
  }

  #request(): void {
    if (this.#signal.aborted) return;
    if (this.#traits.get("_cards").length === 0) write(this.#note, "asking the model…");
    // Saves pending traits first, because cards depend on them.
    queueMicrotask(() => {
      this.#traits.flush();
      this.#store.request("baselines");
    });
  }

  #release(): void {
    for (const view of this.#shown.values()) view.release();
    this.#shown.clear();
  }

  #take(): void {
    const cards = this.#traits.get("_cards");
    this.#known.take(cards);
    write(this.#note, cards.length === 0 ? "" : "F(x′) is the model's output at the baseline.");
    this.#draw();
    // A request may overtake the setting that it is about: hosts hold settings back, and not messages.
    this.#isDue = this.#isOpen && this.#known.get(this.#traits.get("baseline")) === undefined;
    this.#askInTurn();
  }

  #changed(): void {
    const baseline = this.#traits.get("baseline");
    // One that is not on offer gets a card of its own, which goes with it.
    if (this.#kinds().join("\n") === [...this.#shown.keys()].join("\n")) this.#draw();
    else this.#fill();
    if (this.#known.get(baseline) === undefined) this.#isDue = true;
    this.#askInTurn();
  }

  /** Those on offer, and the chosen one if it is another. */
  #kinds(): string[] {
    const offered = this.#traits.get("_baselines");
    return [...new Set([...offered, kindOf(this.#traits.get("baseline"), offered)])];
  }

  /** Makes the cards anew: of other baselines than before. */
  #fill(): void {
    keepFocus(this.#cards, () => {
      this.#release();
      this.#shown = new Map(
        this.#kinds().map((kind) => [kind, new CardView(kind, () => this.#choose(kind))]),
      );
      this.#cards.replaceChildren(...[...this.#shown.values()].map(({ element }) => element));
      this.#draw();
    });
  }

  #draw(): void {
    const baseline = this.#traits.get("baseline");
    const offered = this.#traits.get("_baselines");
    const chosen = kindOf(baseline, offered);
    assign(this.strip, { "data-open": this.#isStripOpen, "data-stale": this.#known.isStale });
    for (const [kind, view] of this.#shown) {
      const text = kind === chosen ? baseline : this.#memory.textOf(kind);
      const card = this.#isStripOpen ? this.#known.get(text) : undefined;
      view.show(baselineInWords(text, offered), card, kind === chosen);
    }
    this.#describe(baseline, chosen);
  }

  #describe(baseline: string, kind: string): void {
    const offered = this.#traits.get("_baselines");
    write(this.#name, shorten(baselineInWords(baseline, offered), 80));
    const card = this.#known.get(baseline);
    assign(this.#detail, { "data-stale": this.#known.isStale });
    if (card !== undefined) this.#detail.replaceChildren(...detailOf(card));
    else this.#detail.replaceChildren(html("p", {}, "F(x′) …"));
    const { parameters = [] } = card ?? this.#known.get(kind) ?? {};
    if (this.#parameters?.of !== kind || (card ?? this.#known.get(kind)) === undefined)
      this.#drop();
    if (this.#parameters === undefined && parameters.length > 0) {
      const life = lifeWithin(this.#signal);
      const choose = (text: string, settled: boolean) => this.#set(text, settled);
      const view = new BaselineParameters(kind, parameters, choose, life.signal);
      this.#parameters = { of: kind, view, life };
      this.#place.replaceChildren(view.element);
    }
    this.#parameters?.view.follow(baseline);
  }

  #drop(): void {
    this.#parameters?.life.abort();
    this.#parameters = undefined;
    this.#place.replaceChildren();
  }

  #choose(kind: string): void {
    this.#set(this.#memory.textOf(kind), true);
  }

  #set(text: string, settled: boolean): void {
    this.#isDragging = !settled;
    this.#traits.set("baseline", text);
    if (!settled) this.#save.call();
    else {
      this.#traits.flush();
      // It may be what the last move has set.
      this.#isDue ||= this.#known.get(text) === undefined;
      this.#askInTurn();
    }
  }

  /** Requests cards only after the picture has come: both need the model, and the person waits for the picture. */
  #askInTurn(): void {
    if (!this.#isDue || !this.#isOpen || this.#isDragging) return;
    const { isStale, run } = this.#store;
    if (isStale && (run.kind === "requested" || run.kind === "computing")) return;
    this.#isDue = false;
    const baseline = this.#traits.get("baseline");
    const times = baseline === this.#asked.baseline ? this.#asked.times + 1 : 1;
    this.#asked = { baseline, times };
    if (times <= MOST_ASKED) this.#ask.call();
  }
}
