/** Tells whether what something is made of has changed since it was asked last. */
export class Changes {
  #last: readonly unknown[] = [];

  have(...values: readonly unknown[]): boolean {
    const last = this.#last;
    this.#last = values;
    return values.length !== last.length || values.some((value, i) => value !== last[i]);
  }
}
