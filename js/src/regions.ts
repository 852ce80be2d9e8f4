/** Regions of a picture as plain data, in its pixels; right and bottom are exclusive. */
export type Region =
  | { readonly kind: "rectangle"; readonly box: readonly [number, number, number, number] }
  | { readonly kind: "polygon"; readonly points: readonly (readonly [x: number, y: number])[] }
  /** Lengths of runs of pixels, row by row, outside and inside in turn, beginning with outside. */
  | { readonly kind: "mask"; readonly runs: readonly number[] };

/** What the kernel says of a region; `error` alone where it could not. */
export type Audit =
  | { readonly error: string }
  | {
      readonly region: Region;
      readonly sum: number;
      readonly share: number | null;
      readonly output: number;
      readonly without: number;
      readonly only: number;
      readonly baseline: number;
    };
