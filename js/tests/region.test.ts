import { describe, expect, test } from "vitest";
import { Selections } from "../src/panels/selections.js";
import { anchorOf, outlineOf } from "../src/views/outline.js";
import { type Corner, maskOf, type Region } from "../src/views/region.js";
import { random } from "./support/scene.js";

const [width, height] = [23, 17];

function polygon(...points: Corner[]): Region {
  return { kind: "polygon", points };
}

function rectangle(left: number, top: number, right: number, bottom: number): Region {
  return { kind: "rectangle", box: [left, top, right, bottom] };
}

function count(region: Region): number {
  return maskOf(region, width, height).reduce((sum, one) => sum + one, 0);
}

/** The even-odd rule by its definition: a ray to the left from each centre. */
function naive(points: readonly Corner[]): number[] {
  return Array.from({ length: width * height }, (_, i) => {
    const [x, y] = [(i % width) + 0.5, Math.floor(i / width) + 0.5];
    const crossed = points.filter((a, k) => {
      const b = points[(k + 1) % points.length] ?? a;
      if (a[1] <= y === b[1] <= y) return false;
      return a[0] + ((b[0] - a[0]) * (y - a[1])) / (b[1] - a[1]) <= x;
    });
    return crossed.length % 2;
  });
}

describe("the mask of a region", () => {
  test("a rectangle has its pixels, right and bottom left out, and is cut at the picture", () => {
    expect(count(rectangle(2, 3, 5, 7))).toBe(12);
    expect(maskOf(rectangle(2, 3, 5, 7), width, height)[3 * width + 2]).toBe(1);
    expect(maskOf(rectangle(2, 3, 5, 7), width, height)[7 * width + 2]).toBe(0);
    expect(count(rectangle(-5, -5, 100, 100))).toBe(width * height);
    expect(count(rectangle(5, 5, 5, 9))).toBe(0);
    expect(count(rectangle(30, 2, 40, 4))).toBe(0);
  });

  test("a polygon along the sides of pixels is the rectangle", () => {
    const box = polygon([2, 3], [5, 3], [5, 7], [2, 7]);
    expect(maskOf(box, width, height)).toEqual(maskOf(rectangle(2, 3, 5, 7), width, height));
  });

  test("any polygon, crossing itself and the picture's border, is as by the even-odd rule", () => {
    const next = random(5);
    for (let round = 0; round < 40; round++) {
      const points = Array.from(
        { length: 3 + (round % 9) },
        (): Corner => [next() * 40 - 8, next() * 30 - 7],
      );
      expect([...maskOf(polygon(...points), width, height)]).toEqual(naive(points));
    }
  });

  test("triangles that share edges share no pixel and leave none out", () => {
    const next = random(6);
    for (let round = 0; round < 40; round++) {
      // On halves, so that edges run through centres.
      const middle: Corner = [
        Math.round(next() * 2 * width) / 2,
        Math.round(next() * 2 * height) / 2,
      ];
      const corners: Corner[] = [
        [0, 0],
        [width, 0],
        [width, height],
        [0, height],
      ];
      const sum = new Uint8Array(width * height);
      corners.forEach((a, i) => {
        const b = corners[(i + 1) % 4] ?? a;
        maskOf(polygon(a, b, middle), width, height).forEach((one, at) => {
          sum[at] = (sum[at] ?? 0) + one;
        });
      });
      expect([...new Set(sum)]).toEqual([1]);
    }
  });

  test("runs begin outside", () => {
    expect([...maskOf({ kind: "mask", runs: [2, 3, 1, 1] }, 4, 2)]).toEqual([
      0, 0, 1, 1, 1, 0, 1, 0,
    ]);
    expect([...maskOf({ kind: "mask", runs: [0, 9] }, 2, 2)]).toEqual([1, 1, 1, 1]);
    expect([...maskOf({ kind: "mask", runs: [] }, 2, 1)]).toEqual([0, 0]);
  });
});

describe("the outline", () => {
  test("is drawn in the picture's pixels", () => {
    expect(outlineOf(rectangle(2, 3, 5, 7), width, height)).toBe("M2 3H5V7H2Z");
    expect(outlineOf(polygon([1, 2], [3, 4.5], [0, 9]), width, height)).toBe("M1 2L3 4.5L0 9Z");
  });

  test("of a mask has the sides between inside and outside, also at the picture's border", () => {
    // Two by two pixels in the corner of 3 x 3: four sides of length 2, none within.
    const path = outlineOf({ kind: "mask", runs: [0, 2, 1, 2] }, 3, 3);
    expect(path).toBe("M0 0H2M0 2H2M0 0V2M2 0V2");
  });

  test("has its number at the leftmost of its topmost corners", () => {
    expect(anchorOf(rectangle(2, 3, 5, 7), width, height)).toEqual([2, 3]);
    expect(anchorOf(polygon([1, 2], [3, 1], [0, 9]), width, height)).toEqual([3, 1]);
    expect(anchorOf({ kind: "mask", runs: [width + 4, 2] }, width, height)).toEqual([4, 1]);
  });
});

describe("the regions", () => {
  const [a, b, c] = [rectangle(0, 0, 1, 1), rectangle(1, 1, 2, 2), rectangle(2, 2, 3, 3)];

  test("what is selected stays selected while others come and go", () => {
    const regions = new Selections<Region>();
    regions.set([a, b, c]);
    expect(regions.selected).toBeUndefined();
    regions.select(1);
    regions.remove(0);
    expect(regions.selected).toBe(b);
    expect(regions.selectedIndex).toBe(0);
    regions.add(a);
    expect(regions.selected).toBe(a);
    regions.remove(2);
    expect(regions.selected).toBeUndefined();
    regions.select(7);
    expect(regions.selectedIndex).toBeUndefined();
  });

  test("whoever listens is told until the signal ends it", () => {
    const life = new AbortController();
    const regions = new Selections<Region>();
    let told = 0;
    regions.subscribe(() => {
      told += 1;
    }, life.signal);
    regions.add(a);
    regions.select(0);
    life.abort();
    regions.set([]);
    expect(told).toBe(2);
  });
});
