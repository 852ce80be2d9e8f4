import { Cells } from "../core/cells.js";
import type { Display } from "../core/protocol.js";
import { photoOf } from "./photo.js";

/** Sides of patches, in pixels. */
const SIDES = [2, 4, 8, 16, 32] as const;

/** Of what a map shows sums: ig_widgets/explorers/image/grains.py has the same. */
export const GRAINS = [
  "pixels",
  ...SIDES.map((side) => `patches of ${side}` as const),
  "superpixels",
] as const;
export type Grain = (typeof GRAINS)[number];

/** As a slider tells it. */
export function inWords(grain: string): string {
  const side = sideOf(grain);
  return side === undefined ? grain : `${side} × ${side}`;
}

/** Undefined for single pixels. */
export function cellsOf(display: Display, grain: Grain): Cells | undefined {
  if (grain === "pixels") return undefined;
  const { width, height, superpixels } = photoOf(display);
  const side = sideOf(grain);
  if (side !== undefined) return patches(width, height, side);
  return superpixels && superpixelCells(superpixels);
}

function sideOf(grain: string): number | undefined {
  return SIDES.find((side) => grain === `patches of ${side}`);
}

const ofSuperpixels = new WeakMap<Uint8Array, Cells>();

function superpixelCells(labels: Uint8Array): Cells {
  const cells = ofSuperpixels.get(labels) ?? new Cells(labels, "superpixel", "superpixels");
  ofSuperpixels.set(labels, cells);
  return cells;
}

/** Of pictures of one size the cells are the same objects, so that samples are added up once. */
const ofPatches = new Map<string, Cells>();
const MOST_KEPT = 16;

/** Those at the right and the lower edge may be smaller. */
function patches(width: number, height: number, side: number): Cells {
  const key = `${width} ${height} ${side}`;
  const known = ofPatches.get(key);
  if (known !== undefined) return known;
  const across = Math.ceil(width / side);
  const labels = Uint32Array.from({ length: width * height }, (_, at) => {
    const column = at % width;
    const row = (at - column) / width;
    return Math.floor(row / side) * across + Math.floor(column / side);
  });
  const size = `${side} × ${side}`;
  const made = new Cells(labels, `patch of ${size}`, `patches of ${size}`);
  for (const oldest of ofPatches.keys()) {
    if (ofPatches.size < MOST_KEPT) break;
    ofPatches.delete(oldest);
  }
  ofPatches.set(key, made);
  return made;
}
