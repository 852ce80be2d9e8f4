import type { Entry, Point, Sample } from "./protocol.js";

/** A position on the path: the piece of the plan that has alpha, and the share of it before alpha. */
export interface Place {
  readonly piece: number;
  readonly t: number;
}

interface Piece extends Entry {
  readonly sample: Sample;
}

/**
 * The attribution as a function of place and alpha: what a plan makes of its samples.
 *
 * The value collected up to alpha is linear between the ends of a piece, so that it is a mix of two
 * prefix sums P_k = sum over the first k entries of weight * map. Renderers keep those and need two
 * reads an element, whatever the number of steps.
 */
export class CumulativeMap {
  readonly #pieces: readonly Piece[];
  readonly #size: number;
  #total: Float32Array | undefined;
  #sizes: Float32Array | undefined;
  #collected: readonly number[] | undefined;
  /** P_k for the k that was asked for last; in float64, because entries are added and subtracted again and again. */
  #prefix: Float64Array | undefined;
  #summed = 0;

  /** Returns undefined if the plan names a sample that has not come. */
  static of(
    entries: readonly Entry[],
    samples: ReadonlyMap<number, Sample>,
    size: number,
  ): CumulativeMap | undefined {
    const pieces: Piece[] = [];
    for (const entry of entries) {
      const sample = samples.get(entry.id);
      if (sample === undefined) return undefined;
      pieces.push({ ...entry, sample });
    }
    return new CumulativeMap(pieces, size);
  }

  private constructor(pieces: readonly Piece[], size: number) {
    this.#pieces = pieces;
    this.#size = size;
  }

  /** How many prefix sums there are besides the empty one: P_1 to P_n. */
  get layers(): number {
    return this.#pieces.length;
  }

  /** Calls with P_1, then P_2, ... up to P_n, in one array that is reused: copy what is to be kept. */
  eachPrefix(visit: (prefix: Float32Array, layer: number) => void): void {
    const prefix = new Float32Array(this.#size);
    this.#pieces.forEach(({ weight, sample }, layer) => {
      const { numbers } = sample;
      const factor = weight * sample.scale;
      for (let i = 0; i < prefix.length; i++)
        prefix[i] = (prefix[i] as number) + factor * (numbers[i] as number);
      visit(prefix, layer);
    });
  }

  /** P_n, the attribution at alpha = 1. */
  get total(): Float32Array {
    if (this.#total === undefined) {
      let last = new Float32Array(this.#size);
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

  valueAt(element: number, alpha: number): number {
    let value = 0;
    this.#pieces.forEach(({ weight, sample }, piece) => {
      value += weight * this.#through(piece, alpha) * sample.scale * (sample.numbers[element] ?? 0);
    });
    return value;
  }

  /**
   * The attribution collected up to alpha, of all elements, into `out`, which is returned. Quick where alpha moves little
   * from one call to the next.
   */
  valuesAt(alpha: number, out: Float32Array): Float32Array {
    const { piece, t } = this.place(alpha);
    const prefix = this.#prefixTo(piece);
    const { weight, sample } = this.#pieces[piece] as Piece;
    const { numbers } = sample;
    const factor = weight * sample.scale * t;
    for (let i = 0; i < out.length; i++)
      out[i] = (prefix[i] as number) + factor * (numbers[i] as number);
    return out;
  }

  /** Returns what one element has collected at the end of each piece; linear in between. */
  elementCurve(element: number): Point[] {
    return this.#curve(({ numbers, scale }) => (numbers[element] ?? 0) * scale);
  }

  /** The same for the sum over the elements of a mask that are 1 (or anything but 0). */
  maskCurve(mask: Uint8Array): Point[] {
    const elements: number[] = [];
    mask.forEach((inside, element) => {
      if (inside !== 0) elements.push(element);
    });
    return this.#curve(({ numbers, scale }) => {
      let sum = 0;
      for (const element of elements) sum += numbers[element] as number;
      return sum * scale;
    });
  }

  /** Returns the sum over all elements of what is collected up to alpha. */
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

  /** Returns the percentile of |P_n| that corresponds to `scale`. */
  percentileOf(scale: number): number {
    const sizes = this.#sorted();
    const last = sizes.length - 1;
    const above = this.#countUpTo(scale);
    if (above === 0) return 0;
    if (above > last) return 100;
    const [low, high] = [sizes[above - 1] as number, sizes[above] as number];
    return (100 * (above - 1 + (scale - low) / (high - low))) / last;
  }

  /** Returns the share of elements with |P_n| > scale, whose colour is clipped. */
  clippedShare(scale: number): number {
    return (this.#size - this.#countUpTo(scale)) / this.#size;
  }

  /** Counts the elements with |P_n| <= value. */
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

  #curve(value: (sample: Sample) => number): Point[] {
    const curve: Point[] = [[0, 0]];
    let sum = 0;
    for (const { weight, sample, to } of this.#pieces) {
      sum += weight * value(sample);
      curve.push([to, sum]);
    }
    return curve;
  }

  /** Returns P_k, starting from the last one or from zero, whichever is nearer. */
  #prefixTo(layer: number): Float64Array {
    const prefix = this.#prefix ?? new Float64Array(this.#size);
    this.#prefix = prefix;
    if (layer < this.#summed - layer) {
      prefix.fill(0);
      this.#summed = 0;
    }
    for (; this.#summed < layer; this.#summed++) this.#add(prefix, this.#summed, 1);
    for (; this.#summed > layer; this.#summed--) this.#add(prefix, this.#summed - 1, -1);
    return prefix;
  }

  #add(prefix: Float64Array, piece: number, times: number): void {
    const { weight, sample } = this.#pieces[piece] as Piece;
    const { numbers } = sample;
    const factor = times * weight * sample.scale;
    for (let i = 0; i < prefix.length; i++)
      prefix[i] = (prefix[i] as number) + factor * (numbers[i] as number);
  }

  /** Sorts once a plan; then each percentile is a look-up. */
  #sorted(): Float32Array {
    this.#sizes ??= this.total.map(Math.abs).sort();
    return this.#sizes;
  }

  #through(piece: number, alpha: number): number {
    const { from, to } = this.#pieces[piece] as Piece;
    return to > from ? Math.min(Math.max((alpha - from) / (to - from), 0), 1) : Number(alpha >= to);
  }
}

function mapSum({ numbers, scale, sum: known }: Sample): number {
  if (known !== undefined) return known;
  let sum = 0;
  for (const level of numbers) sum += level;
  return sum * scale;
}
