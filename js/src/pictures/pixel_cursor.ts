import { assign, html } from "../dom.js";

export interface Pixel {
  readonly column: number;
  readonly row: number;
}

const MOVES: Readonly<Record<string, readonly [columns: number, rows: number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/** With Shift the cross-hair goes this many pixels at a time. */
const STRIDE = 10;

/** Which pixel of a picture is pointed at, by mouse, finger or arrow keys, with a cross-hair on it. */
export class PixelCursor {
  readonly element: HTMLElement;
  readonly #moved: () => void;
  #width = 0;
  #height = 0;
  #pixel: Pixel | undefined;

  /** `picture` takes the focus and the pointer; the cross-hair is to be laid over it. */
  constructor(picture: HTMLElement, moved: () => void, signal: AbortSignal) {
    this.#moved = moved;
    this.element = html("div", { class: "igw-crosshair", hidden: true });
    const point = (event: PointerEvent) => this.#point(picture.getBoundingClientRect(), event);
    picture.addEventListener("pointermove", point, { signal });
    picture.addEventListener("pointerdown", point, { signal });
    picture.addEventListener(
      "pointerleave",
      // A finger leaves as it is lifted; what it pointed at is still to be read.
      (event) => event.pointerType === "mouse" && this.#set(undefined),
      { signal },
    );
    picture.addEventListener("keydown", (event) => this.#key(event), { signal });
  }

  get pixel(): Pixel | undefined {
    return this.#pixel;
  }

  resize(width: number, height: number): void {
    if (width === this.#width && height === this.#height) return;
    this.#width = width;
    this.#height = height;
    this.#set(undefined);
  }

  #point(box: DOMRect, event: PointerEvent): void {
    this.#set({
      column: Math.floor(((event.clientX - box.left) / box.width) * this.#width),
      row: Math.floor(((event.clientY - box.top) / box.height) * this.#height),
    });
  }

  #key(event: KeyboardEvent): void {
    const move = MOVES[event.key];
    if (event.key === "Escape") this.#set(undefined);
    if (move === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    // Else the page scrolls away from under the cross-hair.
    event.preventDefault();
    const from = this.#pixel ?? { column: this.#width >> 1, row: this.#height >> 1 };
    const stride = event.shiftKey ? STRIDE : 1;
    this.#set({ column: from.column + stride * move[0], row: from.row + stride * move[1] });
  }

  #set(pixel: Pixel | undefined): void {
    const isOn = pixel !== undefined && this.#width > 0;
    this.#pixel = isOn
      ? { column: within(pixel.column, this.#width), row: within(pixel.row, this.#height) }
      : undefined;
    assign(this.element, { hidden: !isOn });
    if (this.#pixel !== undefined) {
      const { style } = this.element;
      style.setProperty("--igw-column", `${((this.#pixel.column + 0.5) / this.#width) * 100}%`);
      style.setProperty("--igw-row", `${((this.#pixel.row + 0.5) / this.#height) * 100}%`);
    }
    this.#moved();
  }
}

function within(place: number, size: number): number {
  return Math.min(Math.max(place, 0), size - 1);
}
