import { exponent, fixed, significant } from "../util/format.js";

/** A straight map from values to pixels. */
export interface Axis {
  readonly ticks: readonly number[];
  at(value: number): number;
}

/** About `count` round values that lie within [low, high], 1, 2 or 5 times a power of ten apart. */
export function tidyTicks(low: number, high: number, count: number): number[] {
  const span = high - low;
  if (!(span > 0)) return [low];
  const rough = span / Math.max(count, 1);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((times) => times * power).find((size) => size >= rough) ?? span;
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
}

/** An axis over some values, from pixel `start` to pixel `end`, with a little room at both ends. */
export function axisOver(
  values: readonly number[],
  [start, end]: readonly [number, number],
  count: number,
): Axis {
  let low = Math.min(...values);
  let high = Math.max(...values);
  if (!(high > low)) {
    // A constant function is a line in the middle.
    const room = Math.abs(low) / 2 || 1;
    low -= room;
    high += room;
  }
  const room = (high - low) * 0.06;
  const scale = (end - start) / (high - low + 2 * room);
  return {
    ticks: tidyTicks(low - room, high + room, count),
    at: (value) => start + (value - low + room) * scale,
  };
}

/** Ticks and what stands beside them: digits that tell them apart, an exponent where that is shorter. */
export function labelled(ticks: readonly number[]): [number, string][] {
  const [first, second] = ticks;
  if (first === undefined || second === undefined)
    return ticks.map((value) => [value, significant(value)]);
  const place = Math.floor(Math.log10(Math.abs(second - first)) + 1e-9);
  // `toFixed` has no more decimals than these.
  const plain = ticks.map((value) => fixed(value, Math.min(Math.max(0, -place), 100)));
  const powers = ticks.map((value) => exponent(value, place));
  const longest = (texts: string[]) => Math.max(...texts.map(({ length }) => length));
  const texts = longest(plain) > longest(powers) ? powers : plain;
  return ticks.map((value, i) => [value, texts[i] as string]);
}
