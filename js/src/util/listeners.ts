import { onAbort } from "./life.js";

/** Who is told when something changes, each as long as its signal lasts. */
export class Listeners {
  readonly #all = new Set<() => void>();

  add(listener: () => void, signal: AbortSignal): void {
    this.#all.add(listener);
    onAbort(signal, () => this.#all.delete(listener));
  }

  /** Those that are there now, also where one of them leaves. */
  tell(): void {
    for (const listener of [...this.#all]) listener();
  }
}
