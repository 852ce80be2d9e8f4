/** Closed shapes around the origin, about 9 pixels wide, distinguishable without colour. */
const SHAPES = [
  "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0Z",
  "M-3.6-3.6h7.2v7.2h-7.2Z",
  "M0-4.8L4.8 3.6H-4.8Z",
  "M0-5L5 0L0 5L-5 0Z",
  "M0 4.8L4.8-3.6H-4.8Z",
  "M-1.6-5h3.2v3.4h3.4v3.2h-3.4v3.4h-3.2v-3.4h-3.4v-3.2h3.4Z",
  "M-4.6-4.2h9.2L-4.6 4.2h9.2Z",
  "M-2.5-4.4h5L5 0L2.5 4.4h-5L-5 0Z",
];

export function marker(rank: number): string {
  return SHAPES[rank % SHAPES.length] ?? "";
}
