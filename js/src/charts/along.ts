import type { Point } from "../core/protocol.js";

/** Returns the value of a line at alpha, linear between points; at a jump, the value after it. */
export function along(line: readonly Point[], alpha: number): number {
  const next = line.findIndex(([at]) => at > alpha);
  const [a, b] = [line[next - 1], line[next]];
  if (a === undefined) return (line[next < 0 ? line.length - 1 : 0] ?? [0, 0])[1];
  if (b === undefined) return a[1];
  return a[1] + ((b[1] - a[1]) * (alpha - a[0])) / (b[0] - a[0]);
}

/** Returns the first alpha at which a line reaches `value`; undefined if it never does. */
export function reaches(line: readonly Point[], value: number): number | undefined {
  for (let i = 1; i < line.length; i++) {
    const [a, b] = [line[i - 1] as Point, line[i] as Point];
    if ((a[1] - value) * (b[1] - value) <= 0 && a[1] !== b[1])
      return a[0] + ((b[0] - a[0]) * (value - a[1])) / (b[1] - a[1]);
  }
  return undefined;
}
