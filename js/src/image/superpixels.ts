/**
 * The superpixel around a pixel as lengths of runs, row by row, outside and inside in turn. `labels` are the kernel's
 * (ig_widgets/explorers/image/superpixels.py), which are pieces that hang together.
 */
export function runsAt(labels: Uint8Array, pixel: number): number[] {
  const own = labels[pixel];
  const runs: number[] = [0];
  let isInside = false;
  for (const label of labels) {
    if ((label === own) !== isInside) {
      isInside = !isInside;
      runs.push(0);
    }
    runs[runs.length - 1] = (runs[runs.length - 1] as number) + 1;
  }
  return runs;
}
