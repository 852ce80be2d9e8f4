import { expect, test } from "vitest";
import { Superpixels } from "../src/image/superpixels.js";
import { maskOf } from "../src/views/region.js";
import { random } from "./support/scene.js";

const WIDTH = 60;
const HEIGHT = 40;

function photo(colour: (column: number, row: number) => readonly [number, number, number]) {
  const bytes = Array.from({ length: WIDTH * HEIGHT }, (_, at) => [
    ...colour(at % WIDTH, Math.floor(at / WIDTH)),
  ]);
  return Uint8Array.from(bytes.flat());
}

function patchAt(patches: Superpixels, column: number, row: number): Uint8Array {
  const runs = patches.runsAt(column, row);
  expect(runs.reduce((a, b) => a + b)).toBe(WIDTH * HEIGHT);
  return maskOf({ kind: "mask", runs }, WIDTH, HEIGHT);
}

const draw = random(5);
const noise = photo(() => [255 * draw(), 255 * draw(), 255 * draw()]);
/** A bright disc on dark ground. */
const isInDisc = (column: number, row: number) => Math.hypot(column - 22, row - 18) < 9;
const disc = photo((column, row) => (isInDisc(column, row) ? [250, 240, 90] : [20, 30, 90]));

test.each([
  ["noise", noise],
  ["a disc", disc],
])("patches of %s hold the pixel asked for, hang together, and share no pixel", (_, bytes) => {
  const patches = new Superpixels(bytes, WIDTH, HEIGHT, 40);
  const owner = new Int32Array(WIDTH * HEIGHT).fill(-1);
  let shared = 0;
  for (let at = 0; at < owner.length; at++) {
    if (owner[at] !== -1) continue;
    const mask = patchAt(patches, at % WIDTH, Math.floor(at / WIDTH));
    expect(mask[at]).toBe(1);
    mask.forEach((inside, pixel) => {
      if (inside === 0) return;
      if (owner[pixel] !== -1) shared += 1;
      owner[pixel] = at;
    });
    // From any other of its pixels it is the same patch.
    const last = mask.lastIndexOf(1);
    expect(patches.runsAt(last % WIDTH, Math.floor(last / WIDTH)).join()).toBe(
      patches.runsAt(at % WIDTH, Math.floor(at / WIDTH)).join(),
    );
  }
  expect(shared).toBe(0);
});

test("patches end where the colour does", () => {
  const patches = new Superpixels(disc, WIDTH, HEIGHT, 40);
  for (const [column, row] of [
    [22, 18],
    [26, 22],
    [45, 30],
    [5, 5],
  ] as const) {
    const mask = patchAt(patches, column, row);
    const sides = new Set<boolean>();
    mask.forEach((inside, at) => {
      if (inside) sides.add(isInDisc(at % WIDTH, Math.floor(at / WIDTH)));
    });
    expect(sides.size).toBe(1);
  }
});

test("about as many as asked for, and the same each time", () => {
  const one = new Superpixels(disc, WIDTH, HEIGHT, 24);
  const other = new Superpixels(disc, WIDTH, HEIGHT, 24);
  const found = new Set<string>();
  for (let row = 0; row < HEIGHT; row++)
    for (let column = 0; column < WIDTH; column++) found.add(one.runsAt(column, row).join());
  expect(found.size).toBeGreaterThan(12);
  expect(found.size).toBeLessThan(48);
  expect(one.runsAt(3, 4)).toEqual(other.runsAt(3, 4));
});
