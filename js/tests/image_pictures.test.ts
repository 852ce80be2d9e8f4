import { describe, expect, test, vi } from "vitest";
import { userEvent } from "vitest/browser";
import { withoutWebGL } from "./support/contexts.js";
import { expectDrawn, explained, scene } from "./support/explained.js";
import { choose, frame } from "./support/mount.js";
import { expectSamePixels, pictureOf, pixelsOf } from "./support/pixels.js";

describe("the picture", () => {
  test("is the sum of the samples, in the next frame after alpha moves", async () => {
    const { view } = await explained();
    expectDrawn(view, 1);
    choose(view.slider("alpha"), "0.3");
    await frame();
    expectDrawn(view, 0.3);
    expect(view.status.textContent).toContain("webgl2");
  });

  test("is the same by Canvas2D, and the status line says so", async () => {
    withoutWebGL();
    const { view } = await explained({ alpha: 0.6 });
    expectDrawn(view, 0.6);
    expect(view.status.textContent).toBe("idle · 4 evaluations in 1.9 s · canvas");
  });

  test("says class, score, alpha and delta in words", async () => {
    const { view } = await explained({ alpha: 0.3 });
    expect(view.overlay.getAttribute("aria-label")).toBe(
      "attribution overlay: Egyptian cat, logit 9.31, alpha 0.30, delta +0.012",
    );
    expect(view.image("interpolated image").getAttribute("aria-label")).toBe(
      "interpolated image, alpha 0.30",
    );
  });

  test("says when it does not answer what is asked any more", async () => {
    const { model, view } = await explained();
    expect(view.text).not.toContain("previous picture");
    model.set("baseline", "white");
    await frame();
    expect(view.text).toContain("previous picture");
  });

  test("x(alpha) is the photo over the baseline with the opacity alpha", async () => {
    const { view } = await explained({ alpha: 0.4 });
    const [below, above] = view.image("interpolated image").querySelectorAll("canvas");
    if (below === undefined || above === undefined) throw new Error("two canvases are stacked");
    expectSamePixels(pixelsOf(below), [...scene.baseline]);
    expectSamePixels(pixelsOf(above), [...scene.photo]);
    expect(above.style.opacity).toBe("0.4");
    expect(below.getBoundingClientRect()).toEqual(above.getBoundingClientRect());
  });

  test("arrow keys read it pixel by pixel, Escape ends it", async () => {
    const { view } = await explained();
    const { map } = pictureOf(scene);
    view.overlay.focus();
    await userEvent.keyboard("{ArrowRight}{ArrowDown}");
    await frame();
    // From the middle of 7 x 5 pixels.
    const value = map.valueAt(3 * 7 + 4, 1);
    expect(view.text).toContain("pixel (4, 3):");
    expect(view.text).toContain(Math.abs(value).toPrecision(3));
    expect(view.text).toContain(`${Math.abs((100 * value) / 10.322).toFixed(3)}% of the total`);
    await userEvent.keyboard("{Escape}");
    await frame();
    expect(view.text).not.toContain("pixel (");
  });

  test("the pointer reads the pixel that it is over", async () => {
    const { view } = await explained();
    const { width, height } = view.overlay.getBoundingClientRect();
    const position = { x: (6.5 / 7) * width, y: (0.5 / 5) * height };
    await userEvent.hover(view.overlay, { position });
    await expect.poll(() => view.text).toContain("pixel (6, 0):");
  });
});

describe("the numbers", () => {
  test("completeness, the part collected, the colour bar and the share clipped", async () => {
    const { view } = await explained({ alpha: 0.5, clip: 90 });
    const { map } = pictureOf(scene);
    const scale = map.scale(90);
    expect(view.text).toContain("F(x) input 9.310");
    expect(view.text).toContain("F(x′) baseline −1.000");
    expect(view.text).toContain("+10.31");
    expect(view.text).toContain("+0.012");
    expect(view.text).toContain("0.12%");
    expect(view.text).toMatch(/collected up to alpha: −?[\d.]+ of 10\.3/);
    expect(view.text).toContain(`+${scale.toPrecision(2)}`);
    expect(view.text).toContain(`${(100 * map.clippedShare(scale)).toFixed(1)}% clipped`);
  });

  test("the path chart is dragged, and sets alpha", async () => {
    const { model, view } = await explained({ alpha: 0 });
    const chart = view.image("path chart");
    const box = chart.getBoundingClientRect();
    const at = (share: number) => ({
      clientX: box.left + 46 + share * (box.width - 92),
      clientY: box.top + 50,
      pointerId: 1,
      bubbles: true,
    });
    // A pointer that the page made up cannot be captured.
    vi.spyOn(chart, "setPointerCapture").mockImplementation(() => {});
    vi.spyOn(chart, "hasPointerCapture").mockReturnValue(true);
    chart.dispatchEvent(new PointerEvent("pointerdown", at(0.25)));
    expect(view.slider("alpha").valueAsNumber).toBeCloseTo(0.25, 2);
    chart.dispatchEvent(new PointerEvent("pointermove", at(0.75)));
    chart.dispatchEvent(new PointerEvent("pointermove", at(3)));
    expect(view.slider("alpha").valueAsNumber).toBe(1);
    chart.dispatchEvent(new PointerEvent("pointerup", at(1)));
    expect(model.saved.at(-1)?.alpha).toBe(1);
    await frame();
    expect(chart.getAttribute("aria-label")).toContain("at alpha 1.00 it is 9.31");
  });
});
