/** Sizes of values without their signs, and their percentiles as numpy.percentile has them; sorts nothing. */
export class Sizes {
  readonly #sizes: Float32Array;
  readonly #percentiles = new Map<number, number>();
  /** Partly ordered by what was selected before. */
  #ordered: Float32Array | undefined;

  constructor(values: Float32Array) {
    this.#sizes = values.map(Math.abs);
  }

  get largest(): number {
    let most = 0;
    for (const size of this.#sizes) if (size > most) most = size;
    return most;
  }

  /** Linear between the two nearest ranks. */
  percentile(percent: number): number {
    const known = this.#percentiles.get(percent);
    if (known !== undefined) return known;
    const rank = (Math.min(Math.max(percent, 0), 100) / 100) * (this.#sizes.length - 1);
    const below = Math.floor(rank);
    const low = this.#select(below);
    const high = rank > below ? this.#leastFrom(below + 1) : low;
    const found = low + (high - low) * (rank - below);
    this.#percentiles.set(percent, found);
    return found;
  }

  /** The percentile that corresponds to a size. */
  percentileOf(size: number): number {
    let upTo = 0;
    let low = 0;
    let high = Number.POSITIVE_INFINITY;
    for (const one of this.#sizes) {
      if (one > size) high = Math.min(high, one);
      else {
        upTo += 1;
        low = Math.max(low, one);
      }
    }
    if (upTo === 0) return 0;
    if (upTo === this.#sizes.length) return 100;
    return (100 * (upTo - 1 + (size - low) / (high - low))) / (this.#sizes.length - 1);
  }

  /** The share of those that are larger. */
  shareAbove(size: number): number {
    let count = 0;
    for (const one of this.#sizes) if (one > size) count += 1;
    return count / this.#sizes.length;
  }

  #leastFrom(rank: number): number {
    let least = Number.POSITIVE_INFINITY;
    const ordered = this.#ordered ?? this.#sizes;
    for (let i = rank; i < ordered.length; i++) least = Math.min(least, ordered[i] as number);
    return least;
  }

  /** Hoare's selection: afterwards no size before `rank` is larger, none behind it smaller. */
  #select(rank: number): number {
    this.#ordered ??= this.#sizes.slice();
    const ordered = this.#ordered;
    let left = 0;
    let right = ordered.length - 1;
    while (left < right) {
      const pivot = middle(
        ordered[left] as number,
        ordered[(left + right) >> 1] as number,
        ordered[right] as number,
      );
      let i = left;
      let j = right;
      while (i <= j) {
        while ((ordered[i] as number) < pivot) i++;
        while ((ordered[j] as number) > pivot) j--;
        if (i > j) break;
        const kept = ordered[i] as number;
        ordered[i++] = ordered[j] as number;
        ordered[j--] = kept;
      }
      if (rank <= j) right = j;
      else if (rank >= i) left = i;
      else break;
    }
    return ordered[rank] ?? 0;
  }
}

function middle(a: number, b: number, c: number): number {
  return Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
}
