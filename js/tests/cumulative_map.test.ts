import { describe, expect, test } from "vitest";
import { CumulativeMap } from "../src/core/cumulative_map.js";
import type { Entry, Sample } from "../src/core/protocol.js";
import { random, Scene } from "./support/scene.js";

const scene = new Scene({ width: 13, height: 11, count: 6, seed: 3 });
const samples = new Map(
  scene.levels.map((levels, id): [number, Sample] => [
    id,
    { numbers: levels, scale: scene.scales[id] ?? 0 },
  ]),
);
const pixels = scene.width * scene.height;

/** Pieces of unequal width and weight, in an order of samples that is not the order of alpha. */
const entries: Entry[] = [
  { id: 4, weight: 0.1, from: 0, to: 0.05 },
  { id: 0, weight: 0.4, from: 0.05, to: 0.5 },
  { id: 5, weight: 0.25, from: 0.5, to: 0.8 },
  { id: 2, weight: 0.25, from: 0.8, to: 1 },
];

function make(plan = entries): CumulativeMap {
  const map = CumulativeMap.of(plan, samples, pixels);
  if (map === undefined) throw new Error("a sample is missing");
  return map;
}

/** The definition in ARCHITECTURE.md, in float64. */
function expected(pixel: number, alpha: number): number {
  return entries.reduce((sum, { id, weight, from, to }) => {
    const part = Math.min(Math.max((alpha - from) / (to - from), 0), 1);
    return sum + weight * part * (scene.levels[id]?.[pixel] ?? 0) * (scene.scales[id] ?? 0);
  }, 0);
}

const alphas = [0, 0.02, 0.05, 0.3, 0.5, 0.799, 0.8, 0.93, 1];

describe("the attribution collected up to alpha", () => {
  test.each(alphas)("at alpha %d is the weighted sum of the plan's samples", (alpha) => {
    const map = make();
    for (const pixel of [0, 1, 70, pixels - 1])
      expect(map.valueAt(pixel, alpha)).toBeCloseTo(expected(pixel, alpha), 12);
  });

  test.each(alphas)("at alpha %d is a mix of two prefix sums", (alpha) => {
    const map = make();
    const prefixes = [new Float32Array(pixels)];
    map.eachPrefix((prefix) => prefixes.push(prefix.slice()));
    expect(prefixes.length).toBe(map.layers + 1);
    const { piece, t } = map.place(alpha);
    for (let pixel = 0; pixel < pixels; pixel++) {
      const [before = 0, after = 0] = [prefixes[piece]?.[pixel], prefixes[piece + 1]?.[pixel]];
      expect(before + (after - before) * t).toBeCloseTo(expected(pixel, alpha), 6);
    }
  });

  test.each(alphas)("at alpha %d adds up over the pixels to what is collected", (alpha) => {
    const map = make();
    let sum = 0;
    for (let pixel = 0; pixel < pixels; pixel++) sum += expected(pixel, alpha);
    expect(map.collected(alpha)).toBeCloseTo(sum, 10);
  });

  test("is the total at alpha = 1 and nothing at alpha = 0", () => {
    const map = make();
    map.total.forEach((value, pixel) => {
      expect(value).toBeCloseTo(map.valueAt(pixel, 1), 6);
    });
    expect(map.collected(0)).toBe(0);
  });

  test("jumps over a piece without width", () => {
    const thin: Entry[] = [
      { id: 0, weight: 0.5, from: 0, to: 1 },
      { id: 1, weight: 0.5, from: 1, to: 1 },
    ];
    const map = make(thin);
    expect(map.valueAt(0, 1)).toBeCloseTo(map.total[0] ?? Number.NaN, 6);
  });
});

test("a plan with a sample that has not come has no map", () => {
  expect(
    CumulativeMap.of([{ id: 99, weight: 1, from: 0, to: 1 }], samples, pixels),
  ).toBeUndefined();
});

describe("the scale", () => {
  /** numpy.percentile's linear interpolation, on a plain sorted list. */
  function naive(values: readonly number[], percentile: number): number {
    const sorted = [...values].sort((a, b) => a - b);
    const rank = (percentile / 100) * (sorted.length - 1);
    const [low = 0, high = 0] = [sorted[Math.floor(rank)], sorted[Math.ceil(rank)]];
    return low + (high - low) * (rank - Math.floor(rank));
  }

  test.each([50, 73.5, 90, 99, 99.9, 100])("at clip %d is that percentile of |total|", (clip) => {
    const map = make();
    const sizes = [...map.total].map(Math.abs);
    const scale = map.scale(clip);
    expect(scale).toBeCloseTo(naive(sizes, clip), 6);
    expect(map.clippedShare(scale)).toBe(sizes.filter((size) => size > scale).length / pixels);
  });

  test("is the largest value where the percentile is 0, and 0 where all is", () => {
    const sparse = new Int16Array(pixels);
    sparse[5] = -100;
    const plan = [{ id: 0, weight: 1, from: 0, to: 1 }];
    const of = (levels: Int16Array) =>
      CumulativeMap.of(plan, new Map([[0, { numbers: levels, scale: 0.5 }]]), pixels);
    expect(of(sparse)?.scale(90)).toBe(50);
    expect(of(new Int16Array(pixels))?.scale(90)).toBe(0);
  });
});

test("prefix sums of many maps stay exact to float32", () => {
  const next = random(9);
  const n = 256;
  const many = new Map(
    Array.from({ length: n }, (_, id): [number, Sample] => [
      id,
      { numbers: Int16Array.from({ length: 50 }, () => (next() - 0.3) * 30000), scale: 1e-4 },
    ]),
  );
  const plan = Array.from({ length: n }, (_, id) => {
    return { id, weight: 1 / n, from: id / n, to: (id + 1) / n };
  });
  const map = CumulativeMap.of(plan, many, 50);
  map?.total.forEach((value, pixel) => {
    let sum = 0;
    for (const { numbers, scale } of many.values()) sum += ((numbers[pixel] ?? 0) * scale) / n;
    expect(Math.abs(value - sum)).toBeLessThan(1e-6 * Math.max(1, Math.abs(sum)));
  });
});
