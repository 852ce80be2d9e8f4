import { describe, expect, onTestFinished, test, vi } from "vitest";
import type { Sign } from "../src/core/traits.js";
import { CanvasOverlay } from "../src/image/gl/canvas.js";
import { WebGLOverlay } from "../src/image/gl/overlay.js";
import { type Renderer, RendererError } from "../src/image/gl/renderer.js";
import type { ImageLook } from "../src/image/traits.js";
import { watchContexts } from "./support/contexts.js";
import { blueToRed } from "./support/fake_model.js";
import { expectedPixels, expectSamePixels, PLAIN, pictureOf, pixelsOf } from "./support/pixels.js";
import { type EntryRow, Scene } from "./support/scene.js";

const lut = blueToRed();
const scene = new Scene({ width: 37, height: 23, count: 6, seed: 5 });

/** Not all samples, in another order than they came, with pieces of unequal width. */
const subset: EntryRow[] = [
  [4, 0.2, 0, 0.1],
  [1, 0.5, 0.1, 0.7],
  [3, 0.3, 0.7, 1],
];

/** A renderer and what it draws on. */
interface Drawing {
  readonly renderer: Renderer;
  readonly canvas: HTMLCanvasElement;
}

function webgl(life = new AbortController()): Drawing {
  onTestFinished(() => life.abort());
  const canvas = document.createElement("canvas");
  const renderer = WebGLOverlay.on(canvas, { lost: () => {}, restored: () => {} }, life.signal);
  if (renderer === undefined) throw new Error("this browser has no WebGL2");
  return { renderer, canvas };
}

function canvas2d(): Drawing {
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d", { alpha: false });
  if (context === null) throw new Error("this browser has no Canvas2D");
  return { renderer: new CanvasOverlay(context), canvas };
}

const make: Record<Renderer["name"], () => Drawing> = { webgl2: () => webgl(), canvas: canvas2d };

interface Look {
  readonly alpha?: number;
  readonly clip?: number;
  readonly sign?: Sign;
  readonly opacity?: number;
  readonly ground?: ImageLook["ground"];
}

/** Draws, and compares every pixel with the definition. */
function check({ renderer, canvas }: Drawing, entries: readonly EntryRow[], look: Look = {}): void {
  const { alpha = 1, clip = 99, sign = "all", opacity = 0.8, ground = "grey" } = look;
  const picture = pictureOf(scene, entries);
  const shade = { sign, opacity, ground, scale: picture.map.scale(clip) };
  renderer.show(picture);
  renderer.paint(lut);
  renderer.draw({ ...PLAIN, ...shade, ...picture.map.place(alpha) });
  expectSamePixels(pixelsOf(canvas), expectedPixels(scene, entries, alpha, shade, lut));
}

describe.each(["webgl2", "canvas"] as const)("%s draws the weighted sum of the samples", (name) => {
  test.each([0, 0.04, 0.1, 0.35, 0.7, 0.95, 1])("at alpha %d", (alpha) => {
    check(make[name](), scene.entries, { alpha });
    check(make[name](), subset, { alpha });
  });

  test.each(["all", "positive", "negative"] as const)("with the sign %s", (sign) => {
    check(make[name](), subset, { sign, alpha: 0.6 });
  });

  test.each(["grey", "colour"] as const)("over the photo in %s", (ground) => {
    check(make[name](), subset, { ground });
  });

  test.each([50, 80, 100])("clipped at percentile %d", (clip) => {
    check(make[name](), subset, { clip });
  });

  test.each([0, 0.3, 1])("with the opacity %d", (opacity) => {
    check(make[name](), subset, { opacity });
  });

  test("of plan after plan: finer, coarser, finer", () => {
    const drawing = make[name]();
    for (const entries of [subset, scene.entries, subset, scene.entries])
      check(drawing, entries, { alpha: 0.8 });
  });

  test.each(["grey", "colour"] as const)("and the ground %s of a map that is zero", (ground) => {
    const nothing = scene.entries.map(([id, , from, to]): EntryRow => [id, 0, from, to]);
    expect(pictureOf(scene, nothing).map.scale(99)).toBe(0);
    check(make[name](), nothing, { ground });
  });

  test("and the photo alone where nothing is to be laid over it", () => {
    const { renderer, canvas } = make[name]();
    const picture = pictureOf(scene);
    renderer.show(picture);
    renderer.paint(lut);
    renderer.draw({ ...PLAIN, opacity: 0, ...picture.map.place(1) });
    expectSamePixels(pixelsOf(canvas), [...scene.photo]);
  });
});

test("both renderers give the same pixels on a picture of 224 x 224 with 64 samples", () => {
  const large = new Scene({ width: 224, height: 224, count: 64, seed: 8 });
  const picture = pictureOf(large);
  const shade = { scale: picture.map.scale(99) };
  const [first = [], second = []] = Object.values(make).map((create) => {
    const { renderer, canvas } = create();
    renderer.show(picture);
    renderer.paint(lut);
    renderer.draw({ ...PLAIN, ...shade, ...picture.map.place(0.53) });
    return pixelsOf(canvas);
  });
  const far = first.map((value, i) => Math.abs(value - (second[i] ?? Number.NaN)));
  expect(far.reduce((a, b) => Math.max(a, b))).toBeLessThanOrEqual(1);
});

test("abort deletes every GL object and gives the context back", () => {
  const made = vi.spyOn(WebGL2RenderingContext.prototype, "createTexture");
  const deleted = vi.spyOn(WebGL2RenderingContext.prototype, "deleteTexture");
  const [contexts, life] = [watchContexts(), new AbortController()];
  const { renderer } = webgl(life);
  renderer.show(pictureOf(scene, subset));
  renderer.show(pictureOf(scene));
  life.abort();
  const gone = new Set(deleted.mock.calls.map(([texture]) => texture));
  for (const { value } of made.mock.results) expect(gone.has(value)).toBe(true);
  expect(contexts.map((context) => context.isContextLost())).toEqual([true]);
});

test("more pieces than the GPU has layers are refused, with the reason", () => {
  const { renderer } = webgl();
  const real = WebGL2RenderingContext.prototype.getParameter;
  vi.spyOn(WebGL2RenderingContext.prototype, "getParameter").mockImplementation(function (
    this: WebGL2RenderingContext,
    name,
  ) {
    return name === this.MAX_ARRAY_TEXTURE_LAYERS ? 4 : real.call(this, name);
  });
  expect(() => renderer.show(pictureOf(scene))).toThrow(RendererError);
  expect(() => renderer.show(pictureOf(scene))).toThrow("6 steps are more than the 4 layers");
  expect(() => renderer.show(pictureOf(scene, subset))).not.toThrow();
});
