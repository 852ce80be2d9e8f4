import type { CoreTraits, Traits } from "../core/traits.js";
import { kindOf } from "./baseline_text.js";

/** Remembers, of each baseline on offer, the parameters that it had last. */
export class BaselineMemory {
  readonly #traits: Traits<CoreTraits>;
  readonly #texts = new Map<string, string>();

  constructor(traits: Traits<CoreTraits>, signal: AbortSignal) {
    this.#traits = traits;
    traits.on(["baseline"], () => this.#note(), signal);
    this.#note();
  }

  /** Returns the text that chooses this baseline as it was set last. */
  textOf(kind: string): string {
    return this.#texts.get(kind) ?? kind;
  }

  #note(): void {
    const text = this.#traits.get("baseline");
    this.#texts.set(kindOf(text, this.#traits.get("_baselines")), text);
  }
}
