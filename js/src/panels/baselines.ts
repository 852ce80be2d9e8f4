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
import { div, html, write } from "../util/dom.js";
import { keepFocus } from "../util/focus.js";
import { shorten } from "../util/format.js";
import { listen, onAbort } from "../util/life.js";
import { fold } from "../util/parts.js";
import { Throttle } from "../util/timing.js";
import { CardView } from "./baseline_card.js";
import { parseBaseline } from "./baseline_text.js";

/** Period of saves while a slider is dragged: each value is sampled coarsely, the last one finely. */
const SAVE_EVERY = 120;
/** Period of requests for cards: each evaluates all baselines. */
const ASK_EVERY = 600;
const FILE_BYTES = 9_000_000;

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

/** The catalog of baselines: a card for each, with its picture, the model's output and its parameters. */
export class Baselines {
  readonly element: HTMLDetailsElement;
  readonly #store: Store;
  readonly #traits: Traits<BaselinesTraits>;
  readonly #signal: AbortSignal;
  readonly #cards = html("div", {
    class: "igw-cards",
    role: "group",
    "aria-label": "baseline gallery",
  });
  readonly #note = html("p", { class: "igw-note", "aria-live": "polite" });
  readonly #save: Throttle;
  readonly #ask: Throttle;
  #shown = new Map<string, CardView>();
  /** While a slider is dragged cards are not replaced, which would end the drag. */
  #isDragging = false;
  #isLate = false;
  /** A baseline was chosen that has no card yet. */
  #isDue = false;

  constructor(
    { store, traits, signal }: Host<BaselinesTraits>,
    { tools, files }: KindView["baselines"],
  ) {
    this.#store = store;
    this.#traits = traits;
    this.#signal = signal;
    this.#save = new Throttle(SAVE_EVERY, () => traits.flush(), signal);
    this.#ask = new Throttle(ASK_EVERY, () => this.#request(), signal);
    this.element = fold(
      "igw-gallery",
      "Baselines: what is absence here?",
      div("igw-row", ...tools),
      this.#note,
      this.#cards,
    );
    if (files !== undefined) this.element.children[1]?.append(this.#files(files));
    this.#listen();
  }

  /** An input for files, which can also be dropped on the panel. */
  #files({ accept, label, words }: NonNullable<KindView["baselines"]["files"]>): HTMLElement {
    const file = html("input", { type: "file", accept, "aria-label": label });
    const choose = () => {
      this.#upload(file.files?.[0]);
      // Otherwise the same file, changed meanwhile, could not be chosen again.
      file.value = "";
    };
    listen(file, "change", choose, this.#signal);
    const drop = (event: DragEvent) => {
      event.preventDefault();
      this.#upload(event.dataTransfer?.files[0]);
    };
    listen(this.element, "dragover", (event) => event.preventDefault(), this.#signal);
    listen(this.element, "drop", drop, this.#signal);
    return html("label", { class: "igw-file" }, html("span", {}, words), file);
  }

  #listen(): void {
    const signal = this.#signal;
    const { element } = this;
    listen(element, "toggle", () => element.open && this.#ask.call(), signal);
    const renew = () => element.open && this.#ask.call();
    this.#traits.on(["_baselines", "target", "output"], renew, signal);
    this.#traits.on(["_cards"], () => this.#fill(), signal);
    this.#store.subscribe(() => this.#askInTurn(), signal);
    this.#traits.on(["baseline"], () => this.#mark(), signal);
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
  }

  #fill(): void {
    this.#isLate = this.#isDragging;
    if (this.#isLate) return;
    const baseline = this.#traits.get("baseline");
    const cards = this.#traits.get("_cards");
    // Of several cards of one baseline only the current one is kept.
    const now = cards.find(({ name }) => name === baseline);
    const own = now === undefined ? undefined : parseBaseline(baseline).name;
    const kept = cards.filter((card) => card === now || parseBaseline(card.name).name !== own);
    this.#release();
    this.#shown = new Map(
      kept.map((card) => [
        parseBaseline(card.name).name,
        new CardView(card, (text, settled) => this.#choose(text, settled)),
      ]),
    );
    keepFocus(this.#cards, () => {
      this.#cards.replaceChildren(...[...this.#shown.values()].map(({ element }) => element));
      // Before one has the focus: a slider that has it keeps its own value.
      this.#mark();
    });
    write(this.#note, cards.length === 0 ? "" : "F(x′) is the model's output at the baseline.");
  }

  #mark(): void {
    const { name } = parseBaseline(this.#traits.get("baseline"));
    for (const [kind, view] of this.#shown)
      view.select(kind === name, this.#traits.get("baseline"));
  }

  #choose(text: string, settled: boolean): void {
    this.#isDragging = !settled;
    this.#traits.set("baseline", text);
    if (settled) {
      this.#traits.flush();
      if (this.#isLate) this.#fill();
      this.#isDue = true;
      this.#askInTurn();
    } else this.#save.call();
  }

  /** Requests cards only after the picture has come: both need the model, and the person waits for the picture. */
  #askInTurn(): void {
    const { isStale, run } = this.#store;
    const isAwaited = isStale && (run.kind === "requested" || run.kind === "computing");
    if (!this.#isDue || isAwaited) return;
    this.#isDue = false;
    this.#ask.call();
  }

  #upload(file: File | undefined): void {
    if (file === undefined) return;
    if (file.size > FILE_BYTES) {
      write(this.#note, `${shorten(file.name)} has more than 9 MB; make it smaller first.`);
      return;
    }
    write(this.#note, `reading ${shorten(file.name)}…`);
    file.arrayBuffer().then(
      (data) => {
        if (this.#signal.aborted) return;
        const message = {
          type: "upload",
          view: this.#store.view,
          // By code points, so that no character is cut in half.
          name: [...file.name.slice(0, 400)].slice(0, 200).join(""),
        } as const;
        this.#store.send(message, [data]);
        write(this.#note, "");
      },
      () => write(this.#note, `${shorten(file.name)} cannot be read.`),
    );
  }
}
