import type { Entry, Sample } from "./protocol.js";

/** Where alpha falls: in which piece of the plan, and how far through it. */
export interface Place {
  readonly piece: number;
  readonly t: number;
}

interface Piece extends Entry {
  readonly sample: Sample;
}

/**
 * The attribution as a field over pixels and alpha: what a plan makes of its samples.
 *
 * The value collected up to alpha is linear between the ends of a piece, so that it is a mix of two
 * prefix sums P_k = sum over the first k entries of weight * map. Renderers keep those and need two
 * reads a pixel, whatever the number of steps.
 */
export class Field {
  readonly #pieces: readonly Piece[];
  readonly #pixels: number;
  #total: Float32Array | undefined;
  #sizes: Float32Array | undefined;
  #collected: readonly number[] | undefined;

  /** Returns undefined where the plan names a sample that has not come. */
  static of(
    entries: readonly Entry[],
    samples: ReadonlyMap<number, Sample>,
    pixels: number,
  ): Field | undefined {
    const pieces: Piece[] = [];
    for (const entry of entries) {
      const sample = samples.get(entry.id);
      if (sample === undefined) return undefined;
      pieces.push({ ...entry, sample });
    }
    return new Field(pieces, pixels);
  }

  private constructor(pieces: readonly Piece[], pixels: number) {
    this.#pieces = pieces;
    this.#pixels = pixels;
  }

  /** How many prefix sums there are besides the empty one: P_1 to P_n. */
  get layers(): number {
    return this.#pieces.length;
  }

  /** Calls with P_1, then P_2, ... up to P_n, in one array that is reused: copy what is to be kept. */
  eachPrefix(visit: (prefix: Float32Array, layer: number) => void): void {
    const prefix = new Float32Array(this.#pixels);
    this.#pieces.forEach(({ weight, sample }, layer) => {
      const { levels } = sample;
      const factor = weight * sample.scale;
      for (let i = 0; i < prefix.length; i++)
        prefix[i] = (prefix[i] as number) + factor * (levels[i] as number);
      visit(prefix, layer);
    });
  }

  /** P_n, the attribution at alpha = 1. */
  get total(): Float32Array {
    if (this.#total === undefined) {
      let last = new Float32Array(this.#pixels);
      this.eachPrefix((prefix) => {
        last = prefix as Float32Array<ArrayBuffer>;
      });
      this.#total = last;
    }
    return this.#total;
  }

  place(alpha: number): Place {
    const last = this.#pieces.length - 1;
    const found = this.#pieces.findIndex(({ to }) => alpha < to);
    const piece = found < 0 ? last : found;
    return { piece, t: this.#through(piece, alpha) };
  }

  valueAt(pixel: number, alpha: number): number {
    let value = 0;
    this.#pieces.forEach(({ weight, sample }, piece) => {
      value += weight * this.#through(piece, alpha) * sample.scale * (sample.levels[pixel] ?? 0);
    });
    return value;
  }

  /** The sum over all pixels of what is collected up to alpha. */
  collected(alpha: number): number {
    this.#collected ??= this.#pieces.map(({ weight, sample }) => weight * mapSum(sample));
    return this.#collected.reduce(
      (sum, part, piece) => sum + part * this.#through(piece, alpha),
      0,
    );
  }

  /**
   * What the ends of the colour map stand for: a percentile of |P_n|, so that it stays while alpha
   * moves; the largest |P_n| where the percentile is 0; 0 where there is nothing to see.
   */
  scale(clip: number): number {
    const sizes = this.#sorted();
    // Linear between the two nearest ranks, as numpy.percentile does it.
    const rank = (Math.min(Math.max(clip, 0), 100) / 100) * (sizes.length - 1);
    const below = Math.floor(rank);
    const low = sizes[below] ?? 0;
    const high = sizes[Math.ceil(rank)] ?? low;
    return low + (high - low) * (rank - below) || (sizes[sizes.length - 1] ?? 0);
  }

  /** The percentile of |P_n| that a value is: the inverse of `scale`, the last of them among equals. */
  percentileOf(value: number): number {
    const sizes = this.#sorted();
    const count = this.#countUpTo(value);
    if (count === sizes.length) return 100;
    const [low, high] = [sizes[count - 1], sizes[count]];
    if (low === undefined || high === undefined) return 0;
    return (100 * (count - 1 + (value - low) / (high - low))) / (sizes.length - 1);
  }

  /** The share of pixels with |P_n| > scale: they are drawn no stronger than the scale's end. */
  clippedShare(scale: number): number {
    const sizes = this.#sorted();
    return (sizes.length - this.#countUpTo(scale)) / sizes.length;
  }

  /** How many pixels have |P_n| <= value. */
  #countUpTo(value: number): number {
    const sizes = this.#sorted();
    let from = 0;
    let to = sizes.length;
    while (from < to) {
      const middle = (from + to) >> 1;
      if ((sizes[middle] as number) > value) to = middle;
      else from = middle + 1;
    }
    return from;
  }

  /** Sorted once a plan, after which every percentile is a look-up. */
  #sorted(): Float32Array {
    this.#sizes ??= this.total.map(Math.abs).sort();
    return this.#sizes;
  }

  #through(piece: number, alpha: number): number {
    const { from, to } = this.#pieces[piece] as Piece;
    return to > from ? Math.min(Math.max((alpha - from) / (to - from), 0), 1) : Number(alpha >= to);
  }
}

function mapSum({ levels, scale }: Sample): number {
  let sum = 0;
  for (const level of levels) sum += level;
  return sum * scale;
}
