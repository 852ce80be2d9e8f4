import type { Card } from "./baselines.js";

/**
 * Cards by the baseline that they are of. The kernel makes those of the baselines on offer and of the current one: earlier
 * ones are kept, as long as the model says the same.
 */
export class KnownCards {
  #cards = new Map<string, Card>();
  #isStale = false;

  /** Whether they answer another target or output than is asked for. */
  get isStale(): boolean {
    return this.#isStale && this.#cards.size > 0;
  }

  get(baseline: string): Card | undefined {
    return this.#cards.get(baseline);
  }

  outdate(): void {
    this.#isStale = true;
  }

  take(cards: readonly Card[]): void {
    const isSame = cards.every(({ name, output }) => {
      const known = this.#cards.get(name);
      return known === undefined || known.output === output;
    });
    const kept = isSame && !this.#isStale && cards.length > 0 ? this.#cards : [];
    this.#cards = new Map([...kept, ...cards.map((card) => [card.name, card] as const)]);
    this.#isStale = false;
  }
}
