/**
 * A picture cut into patches of like colour: SLIC, k-means over colour and place from seeds on a grid. Achanta and
 * others, SLIC Superpixels Compared to State-of-the-Art Superpixel Methods (2012), section 3.
 */
export class Superpixels {
  readonly #width: number;
  readonly #labels: Int32Array;

  /** `photo` is RGB, 8 bit. About `count` patches. */
  constructor(photo: Uint8Array, width: number, height: number, count = PATCHES) {
    this.#width = width;
    const lab = toLab(photo, width * height);
    const step = Math.max(Math.sqrt((width * height) / count), 1);
    const centres = seeds(lab, width, height, step);
    this.#labels = new Int32Array(width * height);
    for (let round = 0; round < ROUNDS; round++) {
      assign(this.#labels, lab, centres, width, height, step);
      move(centres, this.#labels, lab, width);
    }
  }

  /**
   * The patch around a pixel as lengths of runs, row by row, outside and inside in turn. It hangs together: specks of
   * its label elsewhere are left out.
   */
  runsAt(column: number, row: number): number[] {
    const inside = this.#around(row * this.#width + column);
    const runs: number[] = [0];
    let now = 0;
    for (const one of inside) {
      if (one !== now) runs.push(0);
      now = one;
      runs[runs.length - 1] = (runs[runs.length - 1] as number) + 1;
    }
    return runs;
  }

  #around(start: number): Uint8Array {
    const inside = new Uint8Array(this.#labels.length);
    const label = this.#labels[start];
    const waiting = [start];
    inside[start] = 1;
    for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
      const column = at % this.#width;
      const neighbours = [
        column > 0 ? at - 1 : -1,
        column < this.#width - 1 ? at + 1 : -1,
        at - this.#width,
        at + this.#width,
      ];
      for (const next of neighbours) {
        if (next < 0 || next >= inside.length || inside[next] === 1) continue;
        if (this.#labels[next] !== label) continue;
        inside[next] = 1;
        waiting.push(next);
      }
    }
    return inside;
  }
}

const PATCHES = 150;
const ROUNDS = 6;
/** How much place counts beside colour: the paper's m. */
const COMPACTNESS = 15;
/** L, a, b, x and y of a centre, one after the other. */
const FIELDS = 5;

function seeds(lab: Float32Array, width: number, height: number, step: number): Float32Array {
  const columns = Math.max(Math.round(width / step), 1);
  const rows = Math.max(Math.round(height / step), 1);
  const centres = new Float32Array(columns * rows * FIELDS);
  for (let i = 0; i < columns * rows; i++) {
    const x = Math.floor((((i % columns) + 0.5) * width) / columns);
    const y = Math.floor((Math.floor(i / columns) + 0.5) * (height / rows));
    const at = 3 * (y * width + x);
    centres.set([...lab.subarray(at, at + 3), x, y], i * FIELDS);
  }
  return centres;
}

/** Each pixel to the nearest of the centres that lie within a step of it. */
function assign(
  labels: Int32Array,
  lab: Float32Array,
  centres: Float32Array,
  width: number,
  height: number,
  step: number,
): void {
  const nearest = new Float32Array(labels.length).fill(Number.POSITIVE_INFINITY);
  const place = (COMPACTNESS / step) ** 2;
  const reach = Math.ceil(2 * step);
  for (let centre = 0; centre < centres.length / FIELDS; centre++) {
    const [l = 0, a = 0, b = 0, x = 0, y = 0] = centres.subarray(
      centre * FIELDS,
      (centre + 1) * FIELDS,
    );
    const [left, right] = [Math.max(Math.floor(x) - reach, 0), Math.min(x + reach + 1, width)];
    const [top, bottom] = [Math.max(Math.floor(y) - reach, 0), Math.min(y + reach + 1, height)];
    for (let row = top; row < bottom; row++) {
      for (let column = left; column < right; column++) {
        const at = row * width + column;
        const colour =
          ((lab[3 * at] as number) - l) ** 2 +
          ((lab[3 * at + 1] as number) - a) ** 2 +
          ((lab[3 * at + 2] as number) - b) ** 2;
        const distance = colour + place * ((column - x) ** 2 + (row - y) ** 2);
        if (distance >= (nearest[at] as number)) continue;
        nearest[at] = distance;
        labels[at] = centre;
      }
    }
  }
}

/** Each centre to the mean of its pixels; one without any stays. */
function move(centres: Float32Array, labels: Int32Array, lab: Float32Array, width: number): void {
  const sums = new Float64Array(centres.length);
  const counts = new Float64Array(centres.length / FIELDS);
  labels.forEach((label, at) => {
    const to = label * FIELDS;
    const column = at % width;
    const values = [
      lab[3 * at] as number,
      lab[3 * at + 1] as number,
      lab[3 * at + 2] as number,
      column,
      (at - column) / width,
    ];
    values.forEach((value, i) => {
      sums[to + i] = (sums[to + i] as number) + value;
    });
    counts[label] = (counts[label] as number) + 1;
  });
  counts.forEach((count, label) => {
    if (count === 0) return;
    for (let i = label * FIELDS; i < (label + 1) * FIELDS; i++)
      centres[i] = (sums[i] as number) / count;
  });
}

/** CIELAB of sRGB under D65, in which distances are about as large as they look. */
function toLab(photo: Uint8Array, pixels: number): Float32Array {
  const linear = Float32Array.from({ length: 256 }, (_, level) => {
    const share = level / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  const lab = new Float32Array(3 * pixels);
  for (let at = 0; at < 3 * pixels; at += 3) {
    const red = linear[photo[at] as number] as number;
    const green = linear[photo[at + 1] as number] as number;
    const blue = linear[photo[at + 2] as number] as number;
    const x = curve((0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505);
    const y = curve(0.2126 * red + 0.7152 * green + 0.0722 * blue);
    const z = curve((0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.089);
    lab[at] = 116 * y - 16;
    lab[at + 1] = 500 * (x - y);
    lab[at + 2] = 200 * (y - z);
  }
  return lab;
}

function curve(t: number): number {
  return t > 0.008856 ? Math.cbrt(t) : 7.787 * t + 16 / 116;
}
