import { Listeners } from "../util/listeners.js";
import type { Region } from "../views/region.js";

/** The regions drawn on a picture, in the order of their numbers, and which of them is selected. */
export class Regions {
  readonly #listeners = new Listeners();
  #regions: readonly Region[] = [];
  #selected: number | undefined;

  get(): readonly Region[] {
    return this.#regions;
  }

  /** Keeps the same region selected where it is among them still. */
  set(regions: readonly Region[]): void {
    const before = this.selected;
    this.#regions = regions;
    const kept = before === undefined ? -1 : regions.indexOf(before);
    this.#selected = kept < 0 ? undefined : kept;
    this.#listeners.tell();
  }

  get selected(): Region | undefined {
    return this.#selected === undefined ? undefined : this.#regions[this.#selected];
  }

  /** From 0; undefined where none is. */
  get selectedIndex(): number | undefined {
    return this.#selected;
  }

  select(index: number | undefined): void {
    this.#selected = index !== undefined && index in this.#regions ? index : undefined;
    this.#listeners.tell();
  }

  /** The newest region is the one that is looked at next. */
  add(region: Region): void {
    this.#selected = this.#regions.length;
    this.#regions = [...this.#regions, region];
    this.#listeners.tell();
  }

  remove(index: number): void {
    this.set(this.#regions.filter((_, i) => i !== index));
  }

  subscribe(listener: () => void, signal: AbortSignal): void {
    this.#listeners.add(listener, signal);
  }
}
