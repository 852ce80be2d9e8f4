import { assign, html } from "../dom.js";
import { fixed } from "../format.js";
import type { Picture } from "../store.js";

/**
 * x(alpha) = x' + alpha (x - x'): the photo laid over the baseline with the opacity alpha. The browser's
 * compositor does the sum, exactly and at no cost.
 */
export class Interpolation {
  readonly element: HTMLElement;
  readonly #photo = html("canvas");
  readonly #baseline = html("canvas");

  constructor() {
    this.element = html("div", { role: "img", class: "igw-picture" }, this.#baseline, this.#photo);
    this.move(0);
  }

  show({ begin: { photo, baseline, width, height } }: Picture): void {
    fill(this.#photo, photo, width, height);
    fill(this.#baseline, baseline, width, height);
  }

  move(alpha: number): void {
    this.#photo.style.opacity = String(alpha);
    assign(this.element, { "aria-label": `interpolated image, alpha ${fixed(alpha, 2)}` });
  }
}

function fill(canvas: HTMLCanvasElement, rgb: Uint8Array, width: number, height: number): void {
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const image = context?.createImageData(width, height);
  if (context == null || image === undefined) return;
  for (let pixel = 0; pixel < width * height; pixel++) {
    image.data.set(rgb.subarray(3 * pixel, 3 * pixel + 3), 4 * pixel);
    image.data[4 * pixel + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}
