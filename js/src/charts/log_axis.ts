import type { Axis } from "./axis.js";

/** A map of positive values to pixels `start` to `end`, equal ratios as equal lengths, with room at both ends. */
export function logAxisOver(
  values: readonly number[],
  [start, end]: readonly [number, number],
  count: number,
): Axis {
  const positive = values.filter((value) => value > 0 && Number.isFinite(value));
  const [least, most] = positive.length ? [Math.min(...positive), Math.max(...positive)] : [0.1, 1];
  // At least half a decade, so that nearly equal values look nearly equal.
  const room = Math.max(
    0.06 * Math.log(most / least),
    (Math.log(3.2) - Math.log(most / least)) / 2,
  );
  const [low, high] = [Math.log(least) - room, Math.log(most) + room];
  return {
    ticks: logTicks(Math.exp(low), Math.exp(high), count),
    at: (value) => start + ((Math.log(value) - low) / (high - low)) * (end - start),
  };
}

/** Powers of ten within [low, high]; with 2 and 5 times them where those are few, every other where many. */
export function logTicks(low: number, high: number, count: number): number[] {
  const first = Math.floor(Math.log10(low));
  const last = Math.ceil(Math.log10(high));
  const every = Math.max(1, Math.ceil((last - first + 1) / count));
  const within = (times: readonly number[]) => {
    const found: number[] = [];
    for (let power = first; power <= last; power++) {
      if ((power - first) % every !== 0) continue;
      // Not 10 ** power: a negative power is not exact.
      const unit = Number(`1e${power}`);
      found.push(...times.map((factor) => factor * unit).filter((v) => v >= low && v <= high));
    }
    return found;
  };
  const fine = within([1, 2, 5]);
  return fine.length <= count + 1 ? fine : within([1]).length >= 2 ? within([1]) : fine;
}
