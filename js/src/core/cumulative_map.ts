import type { Cells } from "./cells.js";
import type { Entry, Point, Sample } from "./protocol.js";
import { Sizes } from "./sizes.js";

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
 *
 * Over `cells` its values are their sums, and an element stands for the cell that it belongs to.
 */
export class CumulativeMap {
  readonly cells: Cells | undefined;
  readonly #pieces: readonly Piece[];
  readonly #elements: number;
  /** How many values it has: one for each cell. */
  readonly size: number;
  #total: Float32Array | undefined;
  #sizes: Sizes | undefined;
  #sizesUpTo: { readonly alpha: number; readonly sizes: Sizes } | undefined;
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

  private constructor(pieces: readonly Piece[], elements: number, cells?: Cells) {
    this.#pieces = pieces;
    this.#elements = elements;
    this.cells = cells;
    this.size = cells?.count ?? elements;
  }

  /** The same of sums over cells; called of a map that has none. */
  over(cells: Cells): CumulativeMap {
    const pieces = this.#pieces.map((piece) => ({ ...piece, sample: cells.sumsOf(piece.sample) }));
    return new CumulativeMap(pieces, this.#elements, cells);
  }

  /** How many prefix sums there are besides the empty one: P_1 to P_n. */
  get layers(): number {
    return this.#pieces.length;
  }

  /** Calls with P_1, then P_2, ... up to P_n, of each element, in one array that is reused: copy what is to be kept. */
  eachPrefix(visit: (prefix: Float32Array, layer: number) => void): void {
    const { cells } = this;
    const spread = new Float32Array(cells === undefined ? 0 : this.#elements);
    this.#eachPrefix((prefix, layer) =>
      visit(cells === undefined ? prefix : cells.spread(prefix, spread), layer),
    );
  }

  #eachPrefix(visit: (prefix: Float32Array, layer: number) => void): void {
    const prefix = new Float32Array(this.size);
    this.#pieces.forEach(({ weight, sample }, layer) => {
      const { numbers } = sample;
      const factor = weight * sample.scale;
      for (let i = 0; i < prefix.length; i++)
        prefix[i] = (prefix[i] as number) + factor * (numbers[i] as number);
      visit(prefix, layer);
    });
  }

  /** P_n, the attribution at alpha = 1; of each cell where there are some. */
  get total(): Float32Array {
    if (this.#total === undefined) {
      let last = new Float32Array(this.size);
      this.#eachPrefix((prefix) => {
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
    const at = this.#valueOf(element);
    let value = 0;
    this.#pieces.forEach(({ weight, sample }, piece) => {
      value += weight * this.#through(piece, alpha) * sample.scale * (sample.numbers[at] ?? 0);
    });
    return value;
  }

  /**
   * The attribution collected up to alpha, of all values, into `out`, which is returned. Quick where alpha moves little
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
    const at = this.#valueOf(element);
    return this.#curve(({ numbers, scale }) => (numbers[at] ?? 0) * scale);
  }

  /**
   * The same for the sum over the elements of a mask that are 1 (or anything but 0). Of a cell that lies partly in it
   * that share of its sum counts, so that regions that cover the map add up to all of it.
   */
  maskCurve(mask: Uint8Array): Point[] {
    const shares = new Map<number, number>();
    mask.forEach((inside, element) => {
      if (inside === 0) return;
      const at = this.#valueOf(element);
      shares.set(at, (shares.get(at) ?? 0) + 1 / (this.cells?.sizes[at] ?? 1));
    });
    return this.#curve(({ numbers, scale }) => {
      let sum = 0;
      for (const [at, share] of shares) sum += share * (numbers[at] as number);
      return sum * scale;
    });
  }

  /** Writes one number for each element of `values`, one for each value of this map. */
  spread(values: Float32Array): Float32Array {
    return this.cells?.spread(values, new Float32Array(this.#elements)) ?? values;
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
   * What the ends of the colour map stand for: a percentile of what is collected up to `fit`, where 1, the default, is
   * the same at every alpha; the largest value where the percentile is 0; 0 where there is nothing to see.
   */
  scale(clip: number, fit = 1): number {
    const sizes = this.#sizesAt(fit);
    return sizes.percentile(clip) || sizes.largest;
  }

  /** Returns the percentile that corresponds to `scale`. */
  percentileOf(scale: number, fit = 1): number {
    return this.#sizesAt(fit).percentileOf(scale);
  }

  /** Returns the share of values beyond `scale`, whose colour is clipped. */
  clippedShare(scale: number, fit = 1): number {
    return this.#sizesAt(fit).shareAbove(scale);
  }

  #sizesAt(alpha: number): Sizes {
    if (alpha >= 1) {
      this.#sizes ??= new Sizes(this.total);
      return this.#sizes;
    }
    if (this.#sizesUpTo?.alpha !== alpha)
      this.#sizesUpTo = {
        alpha,
        sizes: new Sizes(this.valuesAt(alpha, new Float32Array(this.size))),
      };
    return this.#sizesUpTo.sizes;
  }

  #valueOf(element: number): number {
    return this.cells?.labels[element] ?? element;
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
    const prefix = this.#prefix ?? new Float64Array(this.size);
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
