interface Size {
  readonly width: number;
  readonly height: number;
}

/** Gives a canvas this size; it is left alone where it has it, as each change empties it. */
export function resize(canvas: HTMLCanvasElement, { width, height }: Size): void {
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
}
