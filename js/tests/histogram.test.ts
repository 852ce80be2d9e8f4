import { expect, onTestFinished, test, vi } from "vitest";
import { BINS, binCounts, binValue } from "../src/charts/bins.js";
import { Histogram } from "../src/charts/histogram.js";
import { Traits } from "../src/core/traits.js";
import { image } from "../src/image/kind.js";
import { blueToRed, FakeModel } from "./support/fake_model.js";
import "../src/explorers/image.css";
import "../src/charts/plots.css";
import { pictureOf } from "./support/pixels.js";
import { Scene } from "./support/scene.js";

const picture = pictureOf(new Scene({ width: 31, height: 23, seed: 5 }));
const { map } = picture;
const pixels = 31 * 23;

test("percentileOf is the inverse of scale", () => {
  for (let p = 1; p <= 100; p += 1.7) expect(map.percentileOf(map.scale(p))).toBeCloseTo(p, 4);
  expect(map.percentileOf(map.scale(100))).toBe(100);
  expect(map.percentileOf(2 * map.scale(100))).toBe(100);
  expect(map.percentileOf(-1)).toBe(0);
  for (const share of [0.2, 0.55, 0.9]) {
    const value = share * map.scale(100);
    expect(map.scale(map.percentileOf(value))).toBeCloseTo(value, 6);
  }
});

test("every pixel is in one bin, zero is in the middle of the middle one, far values at the ends", () => {
  for (const range of [map.scale(100), map.scale(60), 1e-9]) {
    const counts = binCounts(map.total, range);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(pixels);
  }
  expect(binValue((BINS - 1) / 2, 3)).toBe(0);
  const counts = binCounts(Float32Array.of(-9, -1, 0, 0, 1, 9, Number.NaN), 1);
  expect([counts[0], counts[(BINS - 1) / 2], counts[BINS - 1]]).toEqual([2, 2, 2]);
});

function mounted() {
  const life = new AbortController();
  const model = new FakeModel();
  const traits = new Traits(model, image, life.signal);
  const histogram = new Histogram(traits, life.signal);
  const draw = () => histogram.draw(map.scale(traits.get("clip")), traits.get("clip"));
  traits.on(["clip", "sign"], draw, life.signal);
  const el = document.createElement("div");
  el.className = "igw";
  el.style.width = "400px";
  el.append(histogram.element);
  document.body.append(el);
  onTestFinished(() => el.remove());
  histogram.paint(blueToRed());
  histogram.show(picture);
  draw();
  const plot = histogram.element.querySelector<HTMLElement>(".igw-plot") as HTMLElement;
  const handles = [...plot.querySelectorAll<HTMLElement>('[role="slider"]')];
  // A made-up pointer cannot be captured.
  vi.spyOn(plot, "setPointerCapture").mockImplementation(() => undefined);
  return { life, model, traits, histogram, plot, handles };
}

/** Where a handle stands, as a value. */
function valueAt(plot: HTMLElement, handle: HTMLElement | undefined): number {
  const [box, at] = [plot, handle as HTMLElement].map((part) => part.getBoundingClientRect());
  if (box === undefined || at === undefined) return Number.NaN;
  const middle = box.left + box.width / 2;
  return ((at.left + at.width / 2 - middle) / ((box.width / 320) * 146)) * map.scale(100);
}

function pointer(plot: HTMLElement, type: string, position: number): void {
  const { left, width, top } = plot.getBoundingClientRect();
  const clientX = left + position * width;
  plot.dispatchEvent(
    new PointerEvent(type, { clientX, clientY: top + 9, pointerId: 1, button: 0 }),
  );
}

test("handles stand at minus and plus the scale and say what is clipped", () => {
  const { plot, handles, traits, histogram } = mounted();
  for (const clip of [50, 80, 99, 100]) {
    traits.set("clip", clip);
    const scale = map.scale(clip);
    expect(valueAt(plot, handles[0]) / scale).toBeCloseTo(-1, 2);
    expect(valueAt(plot, handles[1]) / scale).toBeCloseTo(1, 2);
    for (const handle of handles) {
      expect(handle.getAttribute("aria-valuenow")).toBe(String(clip));
      expect(handle.getAttribute("aria-valuetext")).toMatch(
        /^[\d.]+%: [\d.]+% of pixels are clipped at ±/,
      );
    }
    const share = `${(100 * map.clippedShare(scale)).toFixed(1)}% of pixels`;
    expect(histogram.element.textContent).toContain(share);
  }
});

test("a drag brings the scale under the pointer, on either side, and is saved at its end", () => {
  const { plot, handles, traits, model } = mounted();
  pointer(plot, "pointerdown", 0.5 + 0.3);
  for (const position of [0.85, 0.78, 0.2, 0.1]) {
    pointer(plot, "pointermove", position);
    const half = plot.getBoundingClientRect().width / 2;
    const { left, width } = (handles[1] as HTMLElement).getBoundingClientRect();
    const box = plot.getBoundingClientRect();
    const at = (left + width / 2 - box.left) / box.width;
    // Half a percentile to each side is what the steps of the trait leave.
    const [low = 0, high = 0] = [-0.26, 0.26].map((step) => map.scale(traits.get("clip") + step));
    const room = ((high - low) / map.scale(100)) * half;
    expect(Math.abs(at - 0.5 - Math.abs(position - 0.5)) * 2 * half).toBeLessThan(room + 1);
    expect((2 * traits.get("clip")) % 1).toBe(0);
  }
  pointer(plot, "pointerup", 0.1);
  expect(model.saved[model.saved.length - 1]?.clip).toBe(traits.get("clip"));
  const before = traits.get("clip");
  pointer(plot, "pointermove", 0.7);
  expect(traits.get("clip")).toBe(before);
  pointer(plot, "pointerdown", 0.999);
  expect(traits.get("clip")).toBe(100);
  pointer(plot, "pointermove", 0.5);
  expect(traits.get("clip")).toBe(50);
});

test("arrow keys move a handle their way, within the limits", () => {
  const { handles, traits } = mounted();
  const press = (side: number, key: string) =>
    handles[side]?.dispatchEvent(new KeyboardEvent("keydown", { key, cancelable: true }));
  const clips = (side: number, keys: string[]) =>
    keys.map((key) => {
      press(side, key);
      return traits.get("clip");
    });
  expect(clips(1, ["ArrowLeft", "ArrowRight", "ArrowDown", "ArrowUp"])).toEqual([
    98.5, 99, 98.5, 99,
  ]);
  expect(clips(0, ["ArrowRight", "ArrowLeft", "PageDown", "PageUp"])).toEqual([98.5, 99, 94, 99]);
  expect(clips(0, ["End", "ArrowUp", "Home", "ArrowDown"])).toEqual([100, 100, 50, 50]);
});

test("bars have the colours of the picture: the ends beyond the scale, the middle for a sign left out", () => {
  const { histogram, traits } = mounted();
  const fills = () =>
    [...histogram.element.querySelectorAll("rect")].map((bar) => bar.getAttribute("fill"));
  expect([fills()[0], fills()[BINS - 1]]).toEqual(["rgb(0 0 255)", "rgb(255 0 0)"]);
  traits.set("sign", "positive");
  expect(new Set(fills().slice(0, 30)).size).toBe(1);
  expect(fills()[BINS - 1]).toBe("rgb(255 0 0)");
});

test("after abort nothing is listened to", () => {
  const { plot, handles, traits, life, model } = mounted();
  life.abort();
  pointer(plot, "pointerdown", 0.7);
  handles[1]?.dispatchEvent(new KeyboardEvent("keydown", { key: "Home" }));
  expect(traits.get("clip")).toBe(99);
  expect(model.listenerCount).toBe(0);
});

test("attributions that are all zero leave nothing to clip", () => {
  const { histogram, handles } = mounted();
  const still = pictureOf(new Scene({ count: 1 }), [[0, 0, 0, 1]]);
  histogram.show(still);
  histogram.draw(still.map.scale(99), 99);
  expect(histogram.element.textContent).toContain("Every attribution is zero");
  expect(handles.every(({ hidden }) => hidden)).toBe(true);
});
