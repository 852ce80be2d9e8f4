import { describe, expect, onTestFinished, test, vi } from "vitest";
import { logAxisOver, logTicks } from "../src/charts/log_axis.js";
import type { Run } from "../src/core/run.js";
import { Traits } from "../src/core/traits.js";
import { image } from "../src/image/kind.js";
import type { ImageTraits } from "../src/image/traits.js";
import { Convergence, type Curve } from "../src/panels/convergence.js";
import { FakeModel } from "./support/fake_model.js";
import "../src/explorers/image.css";
import "../src/charts/plots.css";

const curves: readonly Curve[] = [
  {
    method: "riemann_middle",
    points: [
      [1, 0.8, null, 1.5],
      [3, 0.3, null, -0.2],
      [9, 0.04, null, 0.01],
    ],
  },
  {
    method: "auto",
    points: [
      [16, 0.1, 0.2, 1e-7],
      [48, 0.02, 0.04, -1e-7],
    ],
  },
  { method: "secant", points: [[64, null, null, 0]] },
];

function mounted(start: ConstructorParameters<typeof FakeModel>[0] = { _curves: curves }) {
  const life = new AbortController();
  const model = new FakeModel(start);
  const traits = new Traits<ImageTraits>(model, image, life.signal);
  const cancel = vi.fn();
  const panel = new Convergence(traits, cancel, life.signal);
  const el = document.createElement("div");
  el.className = "igw";
  el.append(panel.element);
  document.body.append(el);
  onTestFinished(() => {
    life.abort();
    el.remove();
  });
  const all = <T extends Element>(selector: string) => [
    ...panel.element.querySelectorAll<T>(selector),
  ];
  const button = (name: string) =>
    all<HTMLButtonElement>("button").find(({ innerText }) => innerText.startsWith(name)) ??
    expect.fail(name);
  const tol = () => all<HTMLInputElement>('input[type="number"]')[0] as HTMLInputElement;
  const turn = (to: string) => all<HTMLInputElement>(`input[value="${to}"]`)[0]?.click();
  return { life, model, traits, cancel, panel, all, button, tol, turn };
}

const computing: Run = { kind: "computing", request: 1, done: 0, total: 9 };

describe("logarithmic axes", () => {
  test("equal ratios are equal lengths, and all values are inside", () => {
    const { at, ticks } = logAxisOver([1, 3, 100], [10, 210], 5);
    expect(at(10) - at(1)).toBeCloseTo(at(100) - at(10), 9);
    for (const value of [1, 3, 100, ...ticks]) {
      expect(at(value)).toBeGreaterThanOrEqual(10);
      expect(at(value)).toBeLessThanOrEqual(210);
    }
  });
  test.each([
    [0.9, 120],
    [3, 9],
    [1e-9, 1],
    [40, 60],
    [0.004, 0.31],
  ])("ticks from %d to %d are few, round and inside", (low, high) => {
    const ticks = logTicks(low, high, 5);
    expect(ticks.length).toBeGreaterThanOrEqual(1);
    expect(ticks.length).toBeLessThanOrEqual(6);
    for (const tick of ticks) {
      expect(tick).toBeGreaterThanOrEqual(low);
      expect(tick).toBeLessThanOrEqual(high);
      expect(tick.toExponential()).toMatch(/^[125]e/);
    }
  });
});

test("each rule has its own shape, in the chart and its text; the finest has none", () => {
  const { all, panel } = mounted();
  const shapes = all(".igw-rule").map(
    (rule) => new Set([...rule.querySelectorAll(".igw-marker")].map((m) => m.getAttribute("d"))),
  );
  expect(shapes.map(({ size }) => size)).toEqual([1, 1, 1]);
  const [middle, auto, estimate] = shapes.map((shape) => [...shape][0]);
  expect(middle).not.toBe(auto);
  expect(estimate).toBe(auto);
  expect(all(".igw-estimate").length).toBe(1);
  expect(all(".igw-errors text").map((text) => text.textContent)).toEqual(
    expect.arrayContaining(["middle", "auto", "auto, estimate", "tolerance 5%"]),
  );
  expect(all("svg")[0]?.getAttribute("aria-label")).toBe(
    "convergence chart, relative error against evaluations; " +
      "riemann_middle: 80.00% at 1, 4.00% at 9 evaluations; " +
      "auto: 10.00% at 16, 2.00% at 48 evaluations; " +
      "auto, by its own estimate: 20.00% at 16, 4.00% at 48 evaluations; tolerance 5%",
  );
  const finest = "errors are distances to the finest map at hand: secant, 64 evaluations";
  expect(panel.element.textContent).toContain(finest);
});

test("the table has every point, also those that a logarithm has no place for", () => {
  const { all } = mounted();
  const rows = all<HTMLTableRowElement>("tbody tr").map(({ cells }) =>
    [...cells].map(({ textContent }) => textContent),
  );
  expect(rows.length).toBe(6);
  expect(rows[1]).toEqual(["riemann_middle", "3", "30.00%", "n/a", "−0.20"]);
  expect(rows[5]).toEqual(["secant", "64", "the finest", "n/a", "0"]);
});

test("the switch turns to the convergence delta by size, without tolerance or estimates", () => {
  const { all, turn } = mounted();
  turn("delta");
  expect(all(".igw-marker").length).toBe(5);
  expect(all(".igw-level, .igw-estimate").length).toBe(0);
  expect(all("svg")[0]?.getAttribute("aria-label")).toContain("delta against evaluations");
  turn("error");
  expect(all(".igw-marker").length).toBe(7);
  expect(all(".igw-level").length).toBe(1);
});

test("switches of two panels are two switches", () => {
  const [one, other] = [mounted(), mounted()];
  one.turn("delta");
  expect(other.all<HTMLInputElement>("input:checked").map(({ value }) => value)).toEqual(["error"]);
});

test("without curves, or with the finest alone, it says so", () => {
  const { panel, model, all } = mounted({});
  expect(panel.element.innerText).toContain("Nothing sampled yet");
  model.set("_curves", curves.slice(2));
  expect(panel.element.innerText).toContain("One map alone has no error to show (secant, 64");
  expect(all("svg[hidden]").length).toBe(1);
  model.set("_curves", curves);
  expect(all("svg[hidden]").length).toBe(0);
});

test("refine asks for auto at once; stop cancels what is computing", () => {
  const { button, model, panel, cancel, traits } = mounted();
  expect(button("stop").disabled).toBe(true);
  expect(button("refine").textContent).toBe("refine until 5%");
  button("refine").click();
  expect(model.saved[model.saved.length - 1]?.method).toBe("auto");
  panel.show(computing);
  expect([button("refine").disabled, button("stop").disabled]).toEqual([true, false]);
  button("stop").click();
  expect(cancel).toHaveBeenCalledTimes(1);
  panel.show({ kind: "cancelled" });
  expect(button("stop").disabled).toBe(true);
  traits.set("method", "secant");
  expect(button("refine").disabled).toBe(false);
});

test.each([
  ["2.5", 0.025],
  ["0", 0.01],
  ["80", 0.5],
  ["", 0.05],
])("a tolerance of %o percent is %d", (typed, share) => {
  const { tol, traits, button } = mounted();
  expect(tol().value).toBe("5");
  tol().value = typed;
  tol().dispatchEvent(new Event("change"));
  expect(traits.get("tol")).toBe(share);
  expect(tol().valueAsNumber).toBeCloseTo(100 * share, 9);
  expect(button("refine").textContent).toBe(`refine until ${tol().value}%`);
});

test("what is being typed is not overwritten by curves that come", () => {
  const { tol, model } = mounted();
  tol().value = "12";
  model.set("_curves", curves.slice(1));
  expect(tol().value).toBe("12");
});

test("one secant cell is named for what it is", () => {
  const { panel, traits } = mounted();
  const words = "secant with one cell is DeepLIFT (rescale rule)";
  expect(panel.element.innerText).not.toContain(words);
  traits.set("method", "secant");
  traits.set("n_steps", 1);
  expect(panel.element.innerText).toContain(words);
});

test("after abort nothing is listened to", () => {
  const { life, model, button, traits, cancel } = mounted();
  life.abort();
  button("refine").click();
  expect(traits.get("method")).toBe("riemann_middle");
  button("stop").disabled = false;
  button("stop").click();
  expect(cancel).not.toHaveBeenCalled();
  expect(model.listenerCount).toBe(0);
});
