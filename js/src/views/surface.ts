import type { Corner } from "./region.js";

/** Converts between points of a picture and points of the screen. */
export class Surface {
  /** Receives pointer and key events, and the focus. */
  readonly element: HTMLElement;
  /** What the picture fills: the element itself, or a part of it that is enlarged and moved. */
  readonly #layer: HTMLElement;
  #width = 0;
  #height = 0;

  constructor(element: HTMLElement, layer = element) {
    this.element = element;
    this.#layer = layer;
  }

  get width(): number {
    return this.#width;
  }

  get height(): number {
    return this.#height;
  }

  /** Returns whether the picture has another size now. */
  resize(width: number, height: number): boolean {
    if (width === this.#width && height === this.#height) return false;
    this.#width = width;
    this.#height = height;
    return true;
  }

  /** In pixels of the picture, from a point of the window as events have it. */
  toPicture({ clientX, clientY }: Pick<MouseEvent, "clientX" | "clientY">): Corner {
    const { left, top, width, height } = this.#layer.getBoundingClientRect();
    return [((clientX - left) / width) * this.#width, ((clientY - top) / height) * this.#height];
  }

  /** As shares of the element's width and height. */
  toShare([x, y]: Corner): Corner {
    return [x / this.#width, y / this.#height];
  }

  /** The viewBox of an SVG that is laid over the picture. */
  get viewBox(): string {
    return `0 0 ${this.#width} ${this.#height}`;
  }
}
