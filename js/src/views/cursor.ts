import { html } from "../util/dom.js";
import { listen } from "../util/life.js";
import type { Surface } from "./surface.js";

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

/** The pixel under the mouse, the finger or the keys' cursor, with a cross-hair on it. */
export class PixelCursor {
  readonly element: HTMLElement;
  readonly #surface: Surface;
  readonly #moved: () => void;
  #pixel: Pixel | undefined;

  /** The surface's element takes the focus and the pointer; the cross-hair is to be laid over it. */
  constructor(surface: Surface, moved: () => void, signal: AbortSignal) {
    const { element: picture } = surface;
    this.#surface = surface;
    this.#moved = moved;
    this.element = html("div", { class: "igw-crosshair", hidden: true });
    const point = (event: PointerEvent) => this.#point(event);
    listen(picture, "pointermove", point, signal);
    listen(picture, "pointerdown", point, signal);
    listen(
      picture,
      "pointerleave",
      // A finger leaves when it is lifted, and the person wants to read what it pointed at.
      (event) => event.pointerType === "mouse" && this.#set(undefined),
      signal,
    );
    listen(picture, "keydown", (event) => this.#key(event), signal);
  }

  get pixel(): Pixel | undefined {
    return this.#pixel;
  }

  clear(): void {
    this.#set(undefined);
  }

  /** Moves to where another picture is pointed at, without calling back. */
  follow(pixel: Pixel | undefined): void {
    this.#put(pixel);
  }

  /** Points at the pixel in the middle, and returns it. */
  centre(): Pixel {
    const { width, height } = this.#surface;
    const pixel = { column: width >> 1, row: height >> 1 };
    this.#set(pixel);
    return pixel;
  }

  #point(event: PointerEvent): void {
    const [x, y] = this.#surface.toPicture(event);
    this.#set({ column: Math.floor(x), row: Math.floor(y) });
  }

  #key(event: KeyboardEvent): void {
    const move = MOVES[event.key];
    if (event.key === "Escape") this.#set(undefined);
    if (move === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    // Otherwise the page scrolls.
    event.preventDefault();
    const from = this.#pixel ?? this.centre();
    const stride = event.shiftKey ? STRIDE : 1;
    this.#set({ column: from.column + stride * move[0], row: from.row + stride * move[1] });
  }

  #set(pixel: Pixel | undefined): void {
    this.#put(pixel);
    this.#moved();
  }

  #put(pixel: Pixel | undefined): void {
    const { width, height } = this.#surface;
    const isOn = pixel !== undefined && width > 0;
    this.#pixel = isOn
      ? { column: within(pixel.column, width), row: within(pixel.row, height) }
      : undefined;
    this.element.hidden = !isOn;
    this.place();
  }

  /** Lays the cross-hair over its pixel. */
  place(): void {
    if (this.#pixel === undefined) return;
    const { column, row } = this.#pixel;
    const [x, y] = this.#surface.toShare([column + 0.5, row + 0.5]);
    this.element.style.setProperty("--igw-column", `${100 * x}%`);
    this.element.style.setProperty("--igw-row", `${100 * y}%`);
  }
}

function within(place: number, size: number): number {
  return Math.min(Math.max(place, 0), size - 1);
}
