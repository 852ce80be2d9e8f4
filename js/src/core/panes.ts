import type { AnyModel } from "@anywidget/types";
import { lifeWithin, onAbort } from "../util/life.js";
import { Listeners } from "../util/listeners.js";
import { Store } from "./store.js";
import type { CoreTraits, Traits } from "./traits.js";

/** One store for each pane; the first is always there. Shared by all views of a model. */
export class Panes {
  readonly traits: Traits;
  readonly #model: AnyModel<CoreTraits>;
  readonly #signal: AbortSignal;
  readonly #listeners = new Listeners();
  #shown = 0;
  #stores: { readonly store: Store; readonly life: AbortController }[] = [];

  constructor(model: AnyModel<CoreTraits>, traits: Traits, signal: AbortSignal) {
    this.traits = traits;
    this.#model = model;
    this.#signal = signal;
    this.#adjust();
    traits.on(["_panes"], () => this.#adjust(), signal);
  }

  get main(): Store {
    return this.#stores[0]?.store as Store;
  }

  /** All of them, the main one first. */
  get stores(): readonly Store[] {
    return this.#stores.map(({ store }) => store);
  }

  /** Counts the views; the kernel is told of the first and of the last. */
  show(signal: AbortSignal): void {
    this.#shown += 1;
    this.#tell();
    onAbort(signal, () => {
      this.#shown -= 1;
      this.#tell();
    });
  }

  #tell(): void {
    for (const { store } of this.#stores) store.isShown = this.#shown > 0;
  }

  subscribe(listener: () => void, signal: AbortSignal): void {
    this.#listeners.add(listener, signal);
  }

  #adjust(): void {
    const count = Math.max(this.traits.get("_panes").length, 1);
    if (count === this.#stores.length) return;
    for (const { life } of this.#stores.splice(count)) life.abort();
    while (this.#stores.length < count) {
      const life = lifeWithin(this.#signal);
      const store = new Store(this.#model, this.traits, this.#stores.length, life.signal);
      this.#stores.push({ store, life });
    }
    this.#listeners.tell();
  }
}
