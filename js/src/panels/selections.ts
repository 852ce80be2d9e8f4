import type { CoreTraits, Traits } from "../core/traits.js";
import { Listeners } from "../util/listeners.js";

/** The kernel keeps no more. */
const MOST = 32;

/** The selected parts of a map by number, and which of them is highlighted. */
export class Selections<S> {
  readonly #listeners = new Listeners();
  #all: readonly S[] = [];
  #selected: number | undefined;

  get(): readonly S[] {
    return this.#all;
  }

  /** Keeps the highlight if that selection is still among them. */
  set(all: readonly S[]): void {
    const before = this.selected;
    this.#all = all;
    const kept = before === undefined ? -1 : all.indexOf(before);
    this.#selected = kept < 0 ? undefined : kept;
    this.#listeners.tell();
  }

  get selected(): S | undefined {
    return this.#selected === undefined ? undefined : this.#all[this.#selected];
  }

  /** From 0; undefined where none is. */
  get selectedIndex(): number | undefined {
    return this.#selected;
  }

  select(index: number | undefined): void {
    this.#selected = index !== undefined && index in this.#all ? index : undefined;
    this.#listeners.tell();
  }

  /** Highlights the new one. */
  add(one: S): void {
    this.#selected = this.#all.length;
    this.#all = [...this.#all, one];
    this.#listeners.tell();
  }

  remove(index: number): void {
    this.set(this.#all.filter((_, i) => i !== index));
  }

  subscribe(listener: () => void, signal: AbortSignal): void {
    this.#listeners.add(listener, signal);
  }

  /** Keeps them equal to the trait, and so to other views and Python. */
  synchronise(traits: Traits<CoreTraits & SelectedTraits<S>>, signal: AbortSignal): void {
    const isSame = () => JSON.stringify(traits.get("_regions")) === JSON.stringify(this.#all);
    const take = () => {
      if (isSame()) return;
      const given = traits.get("_regions");
      this.set(given);
      this.select(given.length - 1);
    };
    const give = () => {
      if (isSame()) return;
      traits.set("_regions", this.#all.slice(-MOST));
      traits.flush();
    };
    take();
    traits.on(["_regions"], take, signal);
    this.subscribe(give, signal);
  }
}

export interface SelectedTraits<S> {
  readonly _regions: readonly S[];
}
