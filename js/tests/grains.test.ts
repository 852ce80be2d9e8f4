import { describe, expect, test } from "vitest";
import { Cells } from "../src/core/cells.js";
import { Sizes } from "../src/core/sizes.js";
import { cellsOf, GRAINS, type Grain } from "../src/image/grains.js";
import { expectDrawn, explained } from "./support/explained.js";
import { choose, frame } from "./support/mount.js";
import { pictureOf, pixelsOf } from "./support/pixels.js";
import { random, Scene } from "./support/scene.js";

// Neither side is a multiple of that of a patch.
const scene = new Scene({ width: 13, height: 9, count: 6 });
const fine = pictureOf(scene);
const labels = Uint8Array.from({ length: 13 * 9 }, (_, i) => (i % 13 > 7 ? 1 : i < 40 ? 0 : 2));
const display = {
  ...fine.begin.display,
  arrays: { ...fine.begin.display.arrays, superpixels: { shape: [9, 13], values: labels } },
};
const coarse = GRAINS.filter((grain) => grain !== "pixels");

function over(grain: Grain) {
  const cells = cellsOf(display, grain) as Cells;
  return { cells, map: fine.map.over(cells) };
}

function sum(values: ArrayLike<number>): number {
  return Array.from(values).reduce((total, value) => total + value, 0);
}

describe.each(coarse)("%s", (grain) => {
  const { cells, map } = over(grain);

  test("sum to what pixels sum to, at every alpha", () => {
    for (const alpha of [0, 0.1, 0.5, 0.83, 1]) {
      const values = map.valuesAt(alpha, new Float32Array(map.size));
      expect(sum(values)).toBeCloseTo(fine.map.collected(alpha), 4);
      expect(map.collected(alpha)).toBeCloseTo(fine.map.collected(alpha), 4);
    }
  });

  test("each pixel is drawn as the sum of its cell", () => {
    map.eachPrefix((prefix, layer) => {
      const to = (layer + 1) / 6;
      const values = fine.map.valuesAt(to, new Float32Array(fine.map.size));
      const sums = new Float64Array(cells.count);
      values.forEach((value, at) => {
        const cell = cells.labels[at] as number;
        sums[cell] = (sums[cell] as number) + value;
      });
      prefix.forEach((value, at) => {
        expect(value).toBeCloseTo(sums[cells.labels[at] as number] as number, 4);
      });
    });
  });

  test("regions that tile the picture add up to all of it", () => {
    const draw = random(7);
    const of = Array.from({ length: map.spread(map.total).length }, () => Math.floor(3 * draw()));
    const parts = [0, 1, 2].map((own) =>
      map.maskCurve(Uint8Array.from(of, (one) => Number(one === own))),
    );
    for (const [i, [alpha, whole]] of map.maskCurve(new Uint8Array(of.length).fill(1)).entries()) {
      expect(sum(parts.map((curve) => curve[i]?.[1] ?? Number.NaN))).toBeCloseTo(whole, 4);
      expect(whole).toBeCloseTo(fine.map.collected(alpha), 4);
    }
  });

  test("what is read of a pixel is what its cell collects", () => {
    for (const pixel of [0, 12, 60, 116]) {
      const curve = map.elementCurve(pixel);
      for (const [alpha, value] of curve) expect(map.valueAt(pixel, alpha)).toBeCloseTo(value, 4);
    }
  });
});

test("patches have so many pixels each way, those at two edges fewer", () => {
  const { cells } = over("patches of 8");
  expect([...cells.sizes]).toEqual([64, 40, 8, 5]);
  expect(cells.element).toBe("patch of 8 × 8");
});

test("a picture without superpixels keeps its pixels", () => {
  const { superpixels: _, ...arrays } = fine.begin.display.arrays;
  expect(cellsOf({ ...display, arrays }, "superpixels")).toBeUndefined();
});

test("a view follows the grain, without a word to the kernel but the trait", async () => {
  const { model, view, host } = await explained({ grain: "patches of 2" });
  const said = model.sent.length;
  const unit = () => view.el.querySelector(".igw-colorbar .igw-unit")?.textContent;
  expect(unit()).toBe("logit per patch of 2 × 2");
  const pixels = pixelsOf(view.canvas);
  const slider = view.el.querySelector<HTMLInputElement>('input[aria-label="grain"]');
  choose(slider as HTMLInputElement, "0");
  await frame();
  expect(unit()).toBe("logit per pixel");
  expectDrawn(view, 1);
  expect(pixelsOf(view.canvas)).not.toEqual(pixels);
  choose(slider as HTMLInputElement, "1");
  await frame();
  expect(pixelsOf(view.canvas)).toEqual(pixels);
  expect(model.sent.length).toBe(said);
  expect(model.saved.at(-1)?.grain).toBe("patches of 2");
  host.close();
});

test("a scale that fits what is shown is that of what is collected", async () => {
  const { view, model } = await explained({ scale: "shown", alpha: 0.3, clip: 90 });
  const map = pictureOf(new Scene()).map;
  const ends = () => view.el.querySelector(".igw-colorbar .igw-ends")?.textContent ?? "";
  const values = map.valuesAt(0.3, new Float32Array(map.size)).map(Math.abs).sort();
  const rank = 0.9 * (values.length - 1);
  const [low = 0, high = 0] = [values[Math.floor(rank)], values[Math.ceil(rank)]];
  const expected = low + (high - low) * (rank - Math.floor(rank));
  expect(map.scale(90, 0.3)).toBeCloseTo(expected, 6);
  const before = ends();
  expect(before).toContain(expected.toPrecision(2));
  expect(view.el.querySelector(".igw-colorbar")?.textContent).toContain("fit to what is shown");
  model.set("scale", "fixed");
  await frame();
  expect(ends()).not.toBe(before);
  expect(view.el.querySelector(".igw-colorbar")?.textContent).toContain("fixed, 90% at α = 1");
});

test("percentiles are those of sorted values, in whatever order they are asked for", () => {
  const draw = random(11);
  for (const size of [1, 2, 3, 10, 1001]) {
    // Many values are equal, as in a map that is mostly zero.
    const values = Float32Array.from({ length: size }, () => Math.round(20 * (draw() - 0.5)) / 7);
    const sorted = values.map(Math.abs).sort();
    const sizes = new Sizes(values);
    for (const percent of [99, 0, 50, 100, 37.5, 99.5, 1]) {
      const rank = (percent / 100) * (size - 1);
      const low = sorted[Math.floor(rank)] ?? 0;
      const high = sorted[Math.ceil(rank)] ?? low;
      expect(sizes.percentile(percent)).toBeCloseTo(low + (high - low) * (rank % 1), 6);
    }
    expect(sizes.largest).toBe(sorted.at(-1));
  }
});

test("numbers of 16 bits add up to more than float32 holds exactly", () => {
  const cells = new Cells(new Uint8Array(2048), "all", "alls");
  const numbers = new Int16Array(2048).fill(32767);
  expect(cells.sumsOf({ numbers, scale: 1 }).numbers[0]).toBe(Math.fround(2048 * 32767));
});
