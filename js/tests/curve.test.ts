import { describe, expect, onTestFinished, test } from "vitest";
import { Curve, halfWay } from "../src/charts/curve.js";
import type { Point } from "../src/protocol.js";
import { pictureOf } from "./support/pixels.js";
import { Scene } from "./support/scene.js";
import "../src/explorers/image.css";
import "../src/charts/panels.css";

const { field, plan } = pictureOf(new Scene({ seed: 4, count: 5 }));
const knots = plan.entries.map(({ to }) => to);

function mounted() {
  const life = new AbortController();
  const curve = new Curve(life.signal);
  document.body.append(curve.element);
  onTestFinished(() => {
    life.abort();
    curve.element.remove();
  });
  const part = (selector: string) => curve.element.querySelector(selector) as Element;
  return { curve, part, label: () => part("svg").getAttribute("aria-label") ?? "" };
}

test("before anything is pointed at, and after, it says what to do", () => {
  const { curve, part } = mounted();
  const text = "Point at a pixel, or draw a region, to see when it switches on.";
  expect(curve.element.textContent).toContain(text);
  curve.show("pixel (1, 2)", (alpha) => alpha, 3, "logit", [1]);
  expect(curve.element.textContent).not.toContain(text);
  expect(part("svg").hasAttribute("hidden")).toBe(false);
  curve.clear();
  curve.move(0.5);
  expect(curve.element.textContent).toContain(text);
  expect(part("svg").hasAttribute("hidden")).toBe(true);
});

test("the line turns at the ends of the pieces, and the knob is on it at every alpha", () => {
  const { curve, part } = mounted();
  curve.show("pixel (3, 1)", (alpha) => field.valueAt(10, alpha), plan.sum, "logit", knots);
  const numbers =
    part(".igw-output")
      .getAttribute("d")
      ?.match(/[\d.]+/g)
      ?.map(Number) ?? [];
  const points = numbers.flatMap((x, i) => (i % 2 ? [] : [[x, numbers[i + 1] ?? 0] as const]));
  expect(points.length).toBe(knots.length + 1);
  const [first, last] = [points[0]?.[0] ?? 0, points[points.length - 1]?.[0] ?? 0];
  [0, ...knots].forEach((alpha, i) => {
    curve.move(alpha);
    const knob = ["cx", "cy"].map((name) => Number(part(".igw-knob").getAttribute(name)));
    expect(knob[0]).toBeCloseTo(points[i]?.[0] ?? 0, 1);
    expect(knob[1]).toBeCloseTo(points[i]?.[1] ?? 0, 1);
    expect(knob[0]).toBeCloseTo(first + alpha * (last - first), 1);
  });
});

test("what is collected, its end and its half are told in words", () => {
  const { curve, label } = mounted();
  curve.show("region", (alpha) => Math.min(2 * alpha, 1) * 4, 16, "logit", [0.5, 1]);
  curve.move(0.25);
  const words = "+2.00 logit by alpha 0.25, 50.0% of its +4.00";
  expect(curve.element.textContent).toContain(words);
  expect(curve.element.textContent).toContain("half of it by alpha 0.25");
  expect(label()).toBe(
    `curve of region: ${words}; half of it by alpha 0.25; 25.0% of the whole map`,
  );
});

describe("half of the end is reached", () => {
  const through = (...values: number[]) =>
    values.map((value, i): Point => [i / (values.length - 1), value]);
  test.each([
    [through(0, 1), 0.5],
    [through(0, -2), 0.5],
    [through(0, 0, 4), 0.75],
    [through(0, 0.6, 0.55, 1), 0.25 / 0.9],
    [through(0, 2, 1), undefined],
    [through(0, 0.9, 0.2, 1), undefined],
    [through(0, -1, 1), undefined],
    [through(0, 1, 0), undefined],
    [through(0, 0, 0), undefined],
  ])("%j: %s", (points, alpha) => {
    if (alpha === undefined) expect(halfWay(points)).toBeUndefined();
    else expect(halfWay(points)).toBeCloseTo(alpha, 12);
  });
});
