import { type Corner, maskOf, type Region } from "./region.js";

/** The border of a region, as the path of an SVG whose units are the picture's pixels. */
export function outlineOf(region: Region, width: number, height: number): string {
  if (region.kind === "polygon") return `M${region.points.map(([x, y]) => `${x} ${y}`).join("L")}Z`;
  if (region.kind === "mask") return borderOf(maskOf(region, width, height), width, height);
  const [left, top, right, bottom] = region.box;
  return `M${left} ${top}H${right}V${bottom}H${left}Z`;
}

/** Returns where the number of a region is written: at the leftmost of its topmost corners. */
export function anchorOf(region: Region, width: number, height: number): Corner {
  if (region.kind === "rectangle") return [region.box[0], region.box[1]];
  if (region.kind === "polygon")
    return region.points.reduce((best, point) => (point[1] < best[1] ? point : best), [0, height]);
  const first = Math.max(maskOf(region, width, height).indexOf(1), 0);
  return [first % width, Math.floor(first / width)];
}

/** Returns the sides between pixels inside and outside; neighbouring ones are joined. */
function borderOf(mask: Uint8Array, width: number, height: number): string {
  const inside = (column: number, row: number) =>
    column >= 0 && column < width && row >= 0 && row < height ? mask[row * width + column] : 0;
  const sides = (
    lines: number,
    length: number,
    differs: (line: number, i: number) => boolean,
    move: (line: number, from: number, to: number) => string,
  ) => {
    let path = "";
    for (let line = 0; line <= lines; line++)
      for (let i = 0, from = -1; i <= length; i++) {
        const isSide = i < length && differs(line, i);
        if (isSide && from < 0) from = i;
        if (isSide || from < 0) continue;
        path += move(line, from, i);
        from = -1;
      }
    return path;
  };
  const level = sides(
    height,
    width,
    (row, column) => inside(column, row - 1) !== inside(column, row),
    (row, from, to) => `M${from} ${row}H${to}`,
  );
  const upright = sides(
    width,
    height,
    (column, row) => inside(column - 1, row) !== inside(column, row),
    (column, from, to) => `M${column} ${from}V${to}`,
  );
  return level + upright;
}
