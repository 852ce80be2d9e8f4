/** Odd, so that one bin has zero in its middle. */
export const BINS = 61;

/** How many values fall into each of `BINS` bins over +-range; what lies beyond is in the end bins. */
export function binCounts(values: Float32Array, range: number): Uint32Array {
  const counts = new Uint32Array(BINS);
  for (const value of values) {
    const bin = Math.floor(((value / range + 1) / 2) * BINS);
    const kept = Math.min(Math.max(bin, 0), BINS - 1);
    counts[kept] = (counts[kept] ?? 0) + 1;
  }
  return counts;
}

/** The value in the middle of a bin. */
export function binValue(bin: number, range: number): number {
  return ((2 * bin + 1) / BINS - 1) * range;
}
