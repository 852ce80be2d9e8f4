import type { Begin } from "../core/protocol.js";
import { assign, html, span, write } from "../util/dom.js";
import { fixed } from "../util/format.js";
import type { Zoom } from "../views/zoom.js";
import { photoOf } from "./photo.js";

const TITLES = {
  straight: "Interpolated image x(α)",
  curved: "Input x, on a path that is no mixture",
  draws: "Input x, about which points are drawn",
} as const;

/**
 * x(alpha) = x' + alpha (x - x'): the photo laid over the baseline with the opacity alpha. The browser's
 * compositor does the sum, exactly and at no cost. Where the path is another one, or none, the photo itself.
 */
export class Interpolation {
  readonly element: HTMLElement;
  readonly title = span("igw-title", TITLES.straight);
  readonly #photo = html("canvas");
  readonly #baseline = html("canvas");
  #shown: Begin | undefined;

  constructor(zoom: Zoom, signal: AbortSignal) {
    const layer = html("div", {}, this.#baseline, this.#photo);
    this.element = html("div", { role: "img", class: "igw-picture" }, layer);
    zoom.attach(this.element, layer, signal);
    this.move(0);
  }

  /** Does nothing if this path is shown already, as when more samples of it arrive. */
  show(begin: Begin): void {
    if (begin === this.#shown) return;
    this.#shown = begin;
    const { photo, baseline, width, height } = photoOf(begin.display);
    fill(this.#photo, photo, width, height);
    fill(this.#baseline, baseline, width, height);
    write(this.title, TITLES[begin.path]);
  }

  move(alpha: number): void {
    const isMixture = (this.#shown?.path ?? "straight") === "straight";
    this.#photo.style.opacity = isMixture ? String(alpha) : "1";
    const label = isMixture ? `interpolated image, alpha ${fixed(alpha, 2)}` : "input";
    assign(this.element, { "aria-label": label });
  }
}

function fill(canvas: HTMLCanvasElement, rgb: Uint8Array, width: number, height: number): void {
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const image = context?.createImageData(width, height);
  if (context == null || image === undefined) return;
  const { data } = image;
  for (let from = 0, to = 0; to < data.length; from += 3, to += 4) {
    data[to] = rgb[from] as number;
    data[to + 1] = rgb[from + 1] as number;
    data[to + 2] = rgb[from + 2] as number;
    data[to + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}
