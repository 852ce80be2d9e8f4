import { onAbort } from "./life.js";

/** A set of callbacks, each removed when its signal aborts. */
export class Listeners {
  readonly #all = new Set<() => void>();

  add(listener: () => void, signal: AbortSignal): void {
    this.#all.add(listener);
    onAbort(signal, () => this.#all.delete(listener));
  }

  /** Calls those registered now, even if one of them removes itself or another. */
  tell(): void {
    for (const listener of [...this.#all]) listener();
  }
}
