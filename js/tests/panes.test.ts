import { describe, expect, test } from "vitest";
import { watchContexts } from "./support/contexts.js";
import { blueToRed } from "./support/fake_model.js";
import { choose, frame, type View } from "./support/mount.js";
import { answer, compared, type Pane, wantOf } from "./support/panes.js";
import { expectedPixels, expectSamePixels, pictureOf, pixelsOf } from "./support/pixels.js";
import { Scene } from "./support/scene.js";

const lut = blueToRed();
const first = new Scene({ trace: 1, seed: 1 });
const second = new Scene({ trace: 2, seed: 2 });
const third = new Scene({ trace: 3, seed: 3 });
// Of another size than the first, so that it is seen which scale is taken.
second.scales.splice(0, second.scales.length, ...second.scales.map((scale) => 3 * scale));
third.scales.splice(0, third.scales.length, ...third.scales.map((scale) => scale / 5));
const scaleOf = (scene: Scene) => pictureOf(scene).map.scale(99);

function overlays(view: View): HTMLElement[] {
  return [
    ...view.el.querySelectorAll<HTMLElement>('[role="img"][aria-label^="attribution overlay"]'),
  ];
}

function expectDrawn(view: View, pane: number, scene: Scene, alpha: number, scale: number): void {
  const canvas = overlays(view)[pane]?.querySelector("canvas") as HTMLCanvasElement;
  const shade = { sign: "all" as const, opacity: 1, scale };
  expectSamePixels(pixelsOf(canvas), expectedPixels(scene, scene.entries, alpha, shade, lut));
}

/** What is said of the difference, if it is seen. */
function difference(view: View): { canvas: HTMLCanvasElement; text: string } | undefined {
  const image = view.el.querySelector<HTMLElement>('[role="img"][aria-label^="difference"]');
  if (image === null || !image.checkVisibility()) return undefined;
  return {
    canvas: image.querySelector("canvas") as HTMLCanvasElement,
    text: image.closest("figure")?.innerText ?? "",
  };
}

/** One scene less another, as a scene of the pieces of both. */
function less(one: Scene, other: Scene) {
  const count = one.levels.length;
  const scene = Object.assign(new Scene(), {
    photo: one.photo,
    levels: [...one.levels, ...other.levels],
    scales: [...one.scales, ...other.scales],
  });
  const minus = other.entries.map(
    ([id, weight, from, to]) => [id + count, -weight, from, to] as const,
  );
  return { scene, entries: [...one.entries, ...minus] };
}

describe("a pane", () => {
  test("says want with its number, under an id of its own, and draws its own picture", async () => {
    const { model, view } = await compared([
      [{}, first],
      [{ baseline: "white" }, second],
    ]);
    expect(model.all("want").map(({ pane }) => pane)).toEqual([0, 1]);
    expect(new Set(model.all("want").map(({ view: id }) => id)).size).toBe(2);
    for (const alpha of [1, 0.4]) {
      choose(view.slider("alpha"), String(alpha));
      await frame();
      expectDrawn(view, 0, first, alpha, scaleOf(second));
      expectDrawn(view, 1, second, alpha, scaleOf(second));
    }
    expect(view.text).toContain("baseline white");
  });

  test("appears with the trait, in every view, and draws with what came before the views", async () => {
    const { host, model, view } = await compared([[{}, first]]);
    const other = host.render();
    model.set("_panes", [{}, { method: "riemann_left", n_steps: 2 }]);
    answer(host, 1, [{ method: "riemann_left", n_steps: 2 }, second]);
    const late = host.render();
    await frame();
    expect(model.all("want")).toHaveLength(2);
    for (const one of [view, other, late]) {
      expectDrawn(one, 1, second, 1, scaleOf(second));
      expect(one.text).toContain("rule riemann_left, steps 2");
    }
  });

  test("asks for the traits with its differences, and follows them in the others", async () => {
    const { host, model, view } = await compared([
      [{}, first],
      [{ baseline: "white" }, second],
    ]);
    const figure = () => overlays(view)[1]?.closest("figure") as HTMLElement;
    expect(figure().hasAttribute("data-stale")).toBe(false);
    model.set("baseline", "noise");
    await frame();
    // The baseline is its own.
    expect(figure().hasAttribute("data-stale")).toBe(false);
    model.set("target", 2);
    await frame();
    expect(figure().hasAttribute("data-stale")).toBe(true);
    answer(host, 1, [{ baseline: "white", target: 2 }, third]);
    await frame();
    expect(figure().hasAttribute("data-stale")).toBe(false);
  });

  test("that answers another wish than its own is not drawn", async () => {
    const { host, view } = await compared([
      [{}, first],
      [{ baseline: "white" }, second],
    ]);
    answer(host, 1, [{}, third]);
    await frame();
    expectDrawn(view, 1, second, 1, scaleOf(second));
  });

  test("is removed with its store, its view and its listeners", async () => {
    const { host, model, view } = await compared([[{}, first]]);
    const before = model.listenerCount;
    for (let turn = 0; turn < 3; turn++) {
      model.set("_panes", [{}, { baseline: "white" }, { baseline: "noise" }]);
      expect(overlays(view)).toHaveLength(3);
      expect(model.listenerCount).toBeGreaterThan(before);
      model.set("_panes", [{}, { baseline: "white" }]);
      expect(overlays(view)).toHaveLength(2);
      const gone = wantOf(model, 2);
      const told = model.sent.length;
      model.receive(...third.answer(gone, 1, { baseline: "noise" }));
      // Not even acknowledged.
      expect(model.sent.length).toBe(told);
      model.set("_panes", [{}]);
      expect(overlays(view)).toHaveLength(1);
      expect(model.listenerCount).toBe(before);
    }
    answer(host, 0, [{}, second]);
    view.close();
    host.close();
    expect(model.listenerCount).toBe(0);
  });

  test("of four draws, each with a context of its own and no more", async () => {
    const contexts = watchContexts();
    const scenes = [first, second, third, new Scene({ trace: 4, seed: 4 })];
    const { view } = await compared(
      scenes.map((scene, i) => [i === 0 ? {} : { n_steps: i }, scene] as const),
    );
    expect(contexts).toHaveLength(4);
    const scale = Math.max(...scenes.map(scaleOf));
    scenes.forEach((scene, i) => {
      expectDrawn(view, i, scene, 1, scale);
    });
    view.close();
    expect(contexts.every((context) => context.isContextLost())).toBe(true);
  });
});

describe("the scale", () => {
  test.each([
    ["the largest of those in the same unit", {}, true],
    ["each one's own where the outputs differ", { output: "probability" }, false],
  ] as const)("is %s", async (_, more, isShared) => {
    const { view } = await compared([
      [{}, third],
      [{ baseline: "white", ...more }, second],
    ]);
    expectDrawn(view, 0, third, 1, scaleOf(isShared ? second : third));
    expectDrawn(view, 1, second, 1, scaleOf(second));
  });
});

describe("the difference", () => {
  const panes: readonly Pane[] = [
    [{}, first],
    [{ baseline: "white" }, second],
  ];

  test("is drawn as a map in the scale of both, and its norm is said", async () => {
    const { view } = await compared(panes);
    const { scene, entries } = less(first, second);
    const [one, other] = [pictureOf(first).map, pictureOf(second).map];
    for (const alpha of [0.3, 1]) {
      choose(view.slider("alpha"), String(alpha));
      await frame();
      const shown = difference(view);
      if (shown === undefined) throw new Error("no difference is shown");
      const shade = { sign: "all" as const, opacity: 1, scale: scaleOf(second) };
      expectSamePixels(pixelsOf(shown.canvas), expectedPixels(scene, entries, alpha, shade, lut));
      const pixels = Array.from({ length: 35 }, (_, i) => i);
      const far = Math.hypot(...pixels.map((i) => one.valueAt(i, alpha) - other.valueAt(i, alpha)));
      const size = Math.hypot(...pixels.map((i) => one.valueAt(i, alpha)));
      const said = Number(/([\d.]+)%/.exec(shown.text)?.[1]);
      expect(said).toBeCloseTo((100 * far) / size, 1);
    }
  });

  test("of a map and itself is nothing", async () => {
    const { view } = await compared([
      [{}, first],
      [{ n_steps: 8 }, first],
    ]);
    expect(difference(view)?.text).toContain("0.0%");
  });

  test("is not shown without a second pane, nor before it has a picture", async () => {
    const { view, model } = await compared([[{}, first]]);
    expect(difference(view)).toBeUndefined();
    model.set("_panes", [{}, { baseline: "white" }]);
    await frame();
    expect(difference(view)).toBeUndefined();
  });

  test.each([
    ["outputs", { output: "margin" }, second],
    ["sizes", { baseline: "white" }, new Scene({ trace: 2, width: 6, height: 4 })],
  ] as const)(
    "is not shown where %s differ, and is again where they do not",
    async (_, own, scene) => {
      const { host, model, view } = await compared([
        [{}, first],
        [own, scene],
      ]);
      expect(difference(view)).toBeUndefined();
      model.set("_panes", [{}, { baseline: "noise" }]);
      const want = wantOf(model, 1);
      model.receive(...third.answer(want, 2, { baseline: "noise" }));
      await frame();
      expect(difference(view)).toBeDefined();
      expect(host.view).not.toBe(want);
    },
  );
});
