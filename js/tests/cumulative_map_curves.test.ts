import { describe, expect, test } from "vitest";
import { along, reaches } from "../src/charts/along.js";
import { CumulativeMap } from "../src/core/cumulative_map.js";
import type { Entry, Sample } from "../src/core/protocol.js";
import { random, Scene } from "./support/scene.js";

const scene = new Scene({ width: 13, height: 11, count: 6, seed: 3 });
const pixels = scene.width * scene.height;
const entries: Entry[] = [
  { id: 4, weight: 0.1, from: 0, to: 0.05 },
  { id: 0, weight: 0.4, from: 0.05, to: 0.5 },
  { id: 3, weight: 0.2, from: 0.5, to: 0.5 },
  { id: 5, weight: 0.25, from: 0.5, to: 0.8 },
  { id: 2, weight: 0.05, from: 0.8, to: 1 },
];
const alphas = [0, 0.02, 0.05, 0.3, 0.5, 0.799, 0.8, 0.93, 1];

function make(): CumulativeMap {
  const samples = scene.levels.map((levels, id): [number, Sample] => [
    id,
    { numbers: levels, scale: scene.scales[id] ?? 0 },
  ]);
  const map = CumulativeMap.of(entries, new Map(samples), pixels);
  if (map === undefined) throw new Error("a sample is missing");
  return map;
}

describe("the curve of a pixel", () => {
  test("is its value at every alpha, from 0 to its attribution, also over a jump", () => {
    const map = make();
    for (const pixel of [0, 17, pixels - 1]) {
      const curve = map.elementCurve(pixel);
      expect(curve[0]).toEqual([0, 0]);
      expect(curve.at(-1)?.[1]).toBeCloseTo(map.total[pixel] ?? Number.NaN, 6);
      for (const alpha of alphas)
        expect(along(curve, alpha)).toBeCloseTo(map.valueAt(pixel, alpha), 12);
    }
  });

  test("reaches half of its end where it is half of it", () => {
    const line = [
      [0, 0],
      [0.25, -1],
      [0.5, 3],
      [1, 4],
    ] as const;
    expect(reaches(line, 2)).toBe(0.4375);
    expect(along(line, 0.4375)).toBe(2);
    expect(reaches(line, 5)).toBeUndefined();
  });
});

test("the curves of regions that tile the picture add up to what is collected", () => {
  const map = make();
  const next = random(8);
  const side = Uint8Array.from({ length: pixels }, () => Math.floor(next() * 3));
  const curves = [0, 1, 2].map((part) =>
    map.maskCurve(side.map((value) => Number(value === part))),
  );
  for (const alpha of alphas) {
    const sum = curves.reduce((total, curve) => total + along(curve, alpha), 0);
    expect(sum).toBeCloseTo(map.collected(alpha), 10);
  }
});

describe("all values at an alpha", () => {
  test("are those of each pixel, wherever alpha was before", () => {
    const map = make();
    const next = random(4);
    const out = new Float32Array(pixels);
    const path = [...alphas, ...[...alphas].reverse(), ...Array.from({ length: 50 }, next)];
    for (const alpha of path) {
      expect(map.valuesAt(alpha, out)).toBe(out);
      for (const pixel of [0, 1, 70, pixels - 1])
        expect(out[pixel]).toBeCloseTo(map.valueAt(pixel, alpha), 6);
    }
  });

  test("stay exact to float32 after many moves to and fro", () => {
    const map = make();
    const next = random(2);
    const out = new Float32Array(pixels);
    for (let i = 0; i < 2000; i++) map.valuesAt(next(), out);
    expect(map.valuesAt(1, out)).toEqual(make().valuesAt(1, new Float32Array(pixels)));
  });
});

test("the percentile of a scale is the clip that gives this scale", () => {
  const map = make();
  for (const clip of [50, 73.5, 90, 99, 99.9, 100])
    expect(map.percentileOf(map.scale(clip))).toBeCloseTo(clip, 3);
  for (const share of [0.1, 0.4, 0.9]) {
    const scale = map.scale(100) * share;
    expect(map.scale(map.percentileOf(scale))).toBeCloseTo(scale, 6);
  }
  expect(map.percentileOf(map.scale(100) * 2)).toBe(100);
  expect(map.percentileOf(-1)).toBe(0);
});
