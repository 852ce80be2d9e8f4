import { describe, expect, test } from "vitest";
import { axisOver, labelled, tidyTicks } from "../src/charts/axis.js";
import { balance } from "../src/charts/completeness.js";
import { ChartFrame } from "../src/charts/frame.js";
import { fixed, percent, shorten, signed, significant } from "../src/util/format.js";
import { understood } from "./support/pixels.js";
import { Scene } from "./support/scene.js";

test.each([
  [0, "0"],
  [9.306, "9.31"],
  [-0.42, "−0.420"],
  [123.4, "123"],
  [99_999, "99999"],
  [1_234_567, "1.23e6"],
  [0.00012345, "1.23e−4"],
  [-1e-9, "−1.00e−9"],
  [Number.NaN, "n/a"],
])("%d is written %s", (value, text) => {
  expect(significant(value)).toBe(text);
});

test("signs, shares and fixed decimals", () => {
  expect([signed(0.5), signed(-0.5), signed(0)]).toEqual(["+0.500", "−0.500", "0"]);
  expect([percent(0.761), percent(Number.NaN)]).toEqual(["76.1%", "n/a"]);
  expect([fixed(0.3, 2), fixed(-0.001, 2), fixed(-1.5, 1)]).toEqual(["0.30", "0.00", "−1.5"]);
});

test("a long label is cut between characters, a short one is left alone", () => {
  expect(shorten("Egyptian cat")).toBe("Egyptian cat");
  expect(shorten("🐈".repeat(100), 5)).toBe("🐈🐈🐈🐈…");
  expect([...shorten("x".repeat(10_000))]).toHaveLength(60);
});

describe("axes", () => {
  test.each([
    [0, 1],
    [-3.7, 12.2],
    [1e-5, 3e-5],
    [9990, 10010],
  ])("ticks from %d to %d are few, round, even and inside", (low, high) => {
    const ticks = tidyTicks(low, high, 4);
    expect(ticks.length).toBeGreaterThanOrEqual(2);
    expect(ticks.length).toBeLessThanOrEqual(6);
    const step = (ticks[1] ?? 0) - (ticks[0] ?? 0);
    expect(Number((step / 10 ** Math.floor(Math.log10(step * 1.0001))).toFixed(6))).toBeOneOf([
      1, 2, 5,
    ]);
    const rounding = 1e-9 * (high - low);
    for (const tick of ticks) {
      expect(tick).toBeGreaterThanOrEqual(low - rounding);
      expect(tick).toBeLessThanOrEqual(high + rounding);
    }
  });

  test("all values have a place between the ends, also where all are equal", () => {
    for (const values of [[3, -2, 8], [5, 5], [0]]) {
      const axis = axisOver(values, [100, 0], 4);
      for (const value of values) {
        expect(axis.at(value)).toBeGreaterThan(0);
        expect(axis.at(value)).toBeLessThan(100);
      }
    }
  });
});

describe("completeness", () => {
  const plan = (fields: object) => understood(new Scene().plan("v", 1, fields), "plan");

  test("the difference is that of the ends, and delta is what the sum is off", () => {
    const { atBaseline, atInput, difference, relative } = balance(plan({}));
    expect([atBaseline, atInput]).toEqual([-1, 9.31]);
    expect(difference).toBeCloseTo(atInput - atBaseline, 9);
    expect(relative).toBeCloseTo(0.012 / 10.31, 9);
  });

  test("without a difference nothing is relative to it", () => {
    expect(balance(plan({ sum: 0.5, delta: 0.5 })).relative).toBeNaN();
  });

  test("an end that was not sampled is not made up", () => {
    expect(balance(plan({ outputs: [[0.5, 1]] })).atInput).toBeNaN();
  });
});

describe("labels beside a chart", () => {
  test("are drawn narrower where the margin has no room for them", () => {
    const margins = { left: 46, right: 46, top: 8, bottom: 32 };
    const frame = new ChartFrame("chart", 100, margins, () => {}, new AbortController().signal);
    const lengthOf = (anchor: string, x: number, text: string) =>
      frame.label(x, 20, anchor, text).getAttribute("textLength");
    expect(lengthOf("end", 40, "0.25")).toBeNull();
    expect(lengthOf("end", 40, "\u22121.658e\u22121")).toBe("39");
    expect(lengthOf("start", frame.right + 6, "12345678")).toBe("39");
  });
});

describe("labels of ticks", () => {
  const labels = (ticks: number[]) => labelled(ticks).map(([, label]) => label);
  const number = (label: string) => Number(label.replaceAll("\u2212", "-"));

  test("tell the ticks apart, are short, and say what the ticks are", () => {
    for (const scale of [1e-9, 1e-4, 0.01, 1, 40, 9000, 5e4, 3e12])
      for (const middle of [0, 0.7, -3, 12])
        for (const count of [3, 4, 6]) {
          const ticks = tidyTicks((middle - 1.1) * scale, (middle + 0.9) * scale, count);
          const found = labels(ticks);
          const step = Math.abs((ticks[1] ?? 0) - (ticks[0] ?? 0)) || scale;
          expect(new Set(found).size).toBe(ticks.length);
          found.forEach((label, i) => {
            expect(label.length).toBeLessThanOrEqual(8);
            expect(Math.abs(number(label) - (ticks[i] ?? 0))).toBeLessThan(step / 100);
          });
        }
  });

  test("write long numbers with an exponent", () => {
    expect(labels([-50000, -40000, 0])).toEqual(["\u22125e4", "\u22124e4", "0"]);
    expect(labels([0, 0.5, 1])).toEqual(["0.0", "0.5", "1.0"]);
    expect(labels([3])).toEqual(["3.00"]);
    expect(labels([-0.1658, -0.166])).toEqual(["\u22120.1658", "\u22120.1660"]);
    expect(labels([0, 2e-4])).toEqual(["0", "2e\u22124"]);
  });
});
