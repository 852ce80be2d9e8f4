/** Compares values with those of the last call, so that what depends on them is drawn only when one has changed. */
export class Changes {
  #last: readonly unknown[] = [];

  have(...values: readonly unknown[]): boolean {
    const last = this.#last;
    this.#last = values;
    return values.length !== last.length || values.some((value, i) => value !== last[i]);
  }
}
