import type { Sample } from "./protocol.js";

/** A partition of a map into cells, over which its values are added up; what is complete stays so. */
export class Cells {
  /** Of each value the cell that it belongs to, from 0 on. */
  readonly labels: ArrayLike<number>;
  readonly count: number;
  /** What one is called, and several. */
  readonly element: string;
  readonly elements: string;
  /** How many values each has. */
  readonly sizes: Uint32Array;
  /** A sample never changes, and is added up once however often the plan does. */
  readonly #sums = new WeakMap<Sample, Sample>();

  constructor(labels: ArrayLike<number>, element: string, elements: string) {
    this.labels = labels;
    this.element = element;
    this.elements = elements;
    let most = 0;
    for (let i = 0; i < labels.length; i++) most = Math.max(most, labels[i] as number);
    this.count = most + 1;
    this.sizes = new Uint32Array(this.count);
    for (let i = 0; i < labels.length; i++) {
      const cell = labels[i] as number;
      this.sizes[cell] = (this.sizes[cell] as number) + 1;
    }
  }

  /** The sample with one number for each cell. */
  sumsOf(sample: Sample): Sample {
    const known = this.#sums.get(sample);
    if (known !== undefined) return known;
    const made = { ...sample, numbers: Float32Array.from(this.#add(sample.numbers)) };
    this.#sums.set(sample, made);
    return made;
  }

  /** The map of which each value is the sum of its cell. */
  drawn(values: ArrayLike<number>): Float32Array {
    return this.spread(this.#add(values), new Float32Array(this.labels.length));
  }

  /** Writes to each value what belongs to its cell; returns `out`. */
  spread(sums: ArrayLike<number>, out: Float32Array): Float32Array {
    const { labels } = this;
    for (let i = 0; i < out.length; i++) out[i] = sums[labels[i] as number] as number;
    return out;
  }

  /** In float64, as numbers of 16 bits add up to more than float32 can hold. */
  #add(values: ArrayLike<number>): Float64Array {
    const { labels } = this;
    const sums = new Float64Array(this.count);
    for (let i = 0; i < labels.length; i++) {
      const cell = labels[i] as number;
      sums[cell] = (sums[cell] as number) + (values[i] as number);
    }
    return sums;
  }
}
