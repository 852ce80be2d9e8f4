import { expect, test } from "vitest";
import { runsAt } from "../src/image/superpixels.js";
import { maskOf } from "../src/views/region.js";
import { random } from "./support/scene.js";

test("runs are those of the pixels with the label of the one asked for", () => {
  const draw = random(3);
  const [width, height] = [7, 5];
  const labels = Uint8Array.from({ length: width * height }, () => 4 * draw());
  labels.forEach((own, pixel) => {
    const runs = runsAt(labels, pixel);
    const mask = maskOf({ kind: "mask", runs }, width, height);
    expect([...mask]).toEqual([...labels].map((label) => Number(label === own)));
  });
});
