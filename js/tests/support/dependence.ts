import type { Dependence } from "../../src/panels/dependence.js";
import type { Wire } from "./fake_model.js";
import type { Scene } from "./scene.js";

export type Ready = Extract<Dependence, { readonly kind: "ready" }>;

/** What the kernel says once it knows, but for the maps. */
export function ready(number: number, more: Partial<Ready> = {}): Ready {
  return {
    kind: "ready",
    number,
    asked: { target: 1, output: "logit", channel: "sum" },
    dependence: 0.617,
    coarse: 0.31,
    patch: 16,
    output: 9.31,
    rules: ["secant, 8"],
    rows: [
      { name: "black", output: -1, sum: 10.31, share: 0.75 },
      { name: "blur(sigma=3)", output: 4.5, sum: 4.81, share: 0.25 },
    ],
    ...more,
  };
}

/** The maps: the first two of a scene's, the second without its signs. */
export function maps(scene: Scene, view: string, number: number): Wire {
  const [mean = new Int16Array(), other = new Int16Array()] = scene.levels;
  const content = {
    type: "maps" as const,
    view,
    request: 0,
    panel: "dependence",
    number,
    names: ["mean", "standard_deviation"],
    shape: [scene.height, scene.width],
    scales: scene.scales.slice(0, 2),
    dtype: "i2",
  };
  const buffers = [mean, other.map(Math.abs)].map((map) => new DataView(map.buffer));
  return { content, buffers };
}
