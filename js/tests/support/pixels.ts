import { expect } from "vitest";
import { CumulativeMap } from "../../src/core/cumulative_map.js";
import { decode } from "../../src/core/decode.js";
import type { FromKernel, Sample } from "../../src/core/protocol.js";
import type { Picture } from "../../src/core/store.js";
import type { Shade } from "../../src/image/gl/shading.js";
import type { Wire } from "./fake_model.js";
import type { EntryRow, Scene } from "./scene.js";

export function understood<T extends FromKernel["type"]>(wire: Wire, type: T) {
  const decoded = decode(wire.content, wire.buffers);
  if (!decoded.ok || decoded.message.type !== type) throw new Error(`no ${type}`);
  return decoded.message as Extract<FromKernel, { type: T }>;
}

export function pictureOf(scene: Scene, entries: readonly EntryRow[] = scene.entries): Picture {
  const begin = understood(scene.begin("v", 1), "begin");
  const plan = understood(scene.plan("v", 1, { entries }), "plan");
  const { ids, samples } = understood(scene.samples("v", 1), "samples");
  const kept = new Map(ids.map((id, i) => [id, samples[i] as Sample]));
  const map = CumulativeMap.of(plan.entries, kept, begin.display.size);
  if (map === undefined) throw new Error("a sample is missing");
  return { begin, plan, map };
}

/** How a picture is looked at where a test says nothing of it. */
export const PLAIN: Omit<Shade, "piece" | "t"> = {
  sign: "all",
  opacity: 1,
  ground: "grey",
  scale: 0,
};

/** The picture by its definition, in float64 and from the maps themselves, as RGB rows. */
export function expectedPixels(
  scene: Scene,
  entries: readonly EntryRow[],
  alpha: number,
  {
    sign,
    scale,
    opacity,
    ground = "grey",
  }: Pick<Shade, "sign" | "scale" | "opacity"> & Partial<Pick<Shade, "ground">>,
  lut: Uint8Array,
): number[] {
  const out: number[] = [];
  for (let pixel = 0; pixel < scene.width * scene.height; pixel++) {
    let value = 0;
    for (const [id, weight, from, to] of entries) {
      const part = Math.min(Math.max((alpha - from) / (to - from), 0), 1);
      value += weight * part * (scene.levels[id]?.[pixel] ?? 0) * (scene.scales[id] ?? 0);
    }
    if (sign === "positive") value = Math.max(value, 0);
    if (sign === "negative") value = Math.min(value, 0);
    // A map that is zero has no scale, and is nothing anywhere.
    const s = scale > 0 ? Math.max(-1, Math.min(1, value / scale)) : 0;
    const colour = Math.floor((s * 0.5 + 0.5) * 255 + 0.5);
    const strength = opacity * Math.sqrt(Math.abs(s));
    const [red = 0, green = 0, blue = 0] = scene.photo.subarray(3 * pixel, 3 * pixel + 3);
    const faded = 255 - 0.6 * (255 - (0.299 * red + 0.587 * green + 0.114 * blue));
    for (let channel = 0; channel < 3; channel++) {
      const original = scene.photo[3 * pixel + channel] ?? 0;
      const below = original + (faded - original) * (ground === "grey" ? opacity : 0);
      out.push(below + ((lut[3 * colour + channel] ?? 0) - below) * strength);
    }
  }
  return out;
}

/** What a canvas shows, as RGB rows; null where nothing is behind it. */
export function pixelsOf(canvas: HTMLCanvasElement): number[] {
  const copy = document.createElement("canvas");
  copy.width = canvas.width;
  copy.height = canvas.height;
  const context = copy.getContext("2d");
  context?.drawImage(canvas, 0, 0);
  const { data } = context?.getImageData(0, 0, copy.width, copy.height) ?? { data: [] };
  return [...data].filter((_, i) => i % 4 !== 3);
}

/** Equal to one level of 255, besides the rounding of `actual` to whole levels. */
export function expectSamePixels(actual: readonly number[], expected: readonly number[]): void {
  expect(actual.length).toBe(expected.length);
  const far = actual.map((value, i) => Math.abs(value - Math.round(expected[i] ?? Number.NaN)));
  expect(Math.max(...far)).toBeLessThanOrEqual(1);
}
