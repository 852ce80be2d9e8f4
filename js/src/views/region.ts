export type Corner = readonly [x: number, y: number];

/** A part of a picture, in its pixels; right and bottom lie outside. */
export type Region =
  | {
      readonly kind: "rectangle";
      readonly box: readonly [left: number, top: number, right: number, bottom: number];
    }
  | { readonly kind: "polygon"; readonly points: readonly Corner[] }
  /** Lengths of runs in row-major order, the first of pixels outside, and then in turns. */
  | { readonly kind: "mask"; readonly runs: readonly number[] };

/** 1 for each pixel of the region, 0 for others, in row-major order. */
export function maskOf(region: Region, width: number, height: number): Uint8Array {
  const mask = new Uint8Array(width * height);
  if (region.kind === "rectangle") fillBox(mask, region.box, width, height);
  else if (region.kind === "polygon") fillPolygon(mask, region.points, width, height);
  else fillRuns(mask, region.runs);
  return mask;
}

function fillBox(
  mask: Uint8Array,
  [left, top, right, bottom]: readonly [number, number, number, number],
  width: number,
  height: number,
): void {
  const [from, to] = [within(firstCentre(left), width), within(firstCentre(right), width)];
  if (to <= from) return;
  for (let row = within(firstCentre(top), height); row < within(firstCentre(bottom), height); row++)
    mask.fill(1, row * width + from, row * width + to);
}

/**
 * Fills by the even-odd rule at the pixels' centres. A centre on an edge belongs to the side right of or below it, so that
 * polygons that share an edge share no pixel and leave none out.
 */
function fillPolygon(
  mask: Uint8Array,
  points: readonly Corner[],
  width: number,
  height: number,
): void {
  for (let row = 0; row < height; row++) {
    const crossings = crossingsAt(points, row + 0.5);
    for (let i = 0; i + 1 < crossings.length; i += 2) {
      const [from, to] = [crossings[i] as number, crossings[i + 1] as number].map(firstCentre);
      mask.fill(1, row * width + within(from, width), row * width + within(to, width));
    }
  }
}

function crossingsAt(points: readonly Corner[], y: number): number[] {
  const found: number[] = [];
  points.forEach((point, i) => {
    const previous = points[(i || points.length) - 1] ?? point;
    // Edges are taken from top to bottom, so that two polygons that share one find the same crossing.
    const [a, b] = point[1] < previous[1] ? [point, previous] : [previous, point];
    if (a[1] <= y && y < b[1]) found.push(a[0] + ((b[0] - a[0]) * (y - a[1])) / (b[1] - a[1]));
  });
  return found.sort((a, b) => a - b);
}

/** The first pixel whose centre is not left of x. */
function firstCentre(x: number): number {
  return Math.ceil(x - 0.5);
}

function fillRuns(mask: Uint8Array, runs: readonly number[]): void {
  let at = 0;
  runs.forEach((length, i) => {
    if (i % 2 === 1) mask.fill(1, at, at + length);
    at += length;
  });
}

function within(place = 0, size: number): number {
  return Math.min(Math.max(place, 0), size);
}
