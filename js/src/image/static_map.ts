import type { Begin } from "../core/protocol.js";
import type { Ground, Sign } from "../core/traits.js";
import { assign, html, write } from "../util/dom.js";
import type { Zoom } from "../views/zoom.js";
import { Blender } from "./gl/canvas.js";
import { photoOf } from "./photo.js";

/** How a map that does not move with alpha is laid over the photo. */
export interface Tint {
  readonly lut: Uint8Array;
  readonly scale: number;
  readonly sign: Sign;
  readonly opacity: number;
  readonly ground: Ground;
}

/** A map over the photo that is worked out here or comes as it is: drawn without WebGL, and only when it changes. */
export class StaticMap {
  readonly element: HTMLElement;
  readonly #canvas = html("canvas");
  readonly #picture: HTMLElement;
  readonly #title = html("span", { class: "igw-title" });
  readonly #note = html("p", { class: "igw-collected" });
  readonly #blender = new Blender();
  #image: ImageData | undefined;

  constructor(zoom: Zoom, signal: AbortSignal, ...below: Node[]) {
    const layer = html("div", {}, this.#canvas);
    this.#picture = html("div", { role: "img", class: "igw-picture" }, layer);
    zoom.attach(this.#picture, layer, signal);
    const caption = html("figcaption", { class: "igw-caption" }, this.#title);
    this.element = html(
      "figure",
      { class: "igw-figure igw-pane" },
      caption,
      this.#picture,
      this.#note,
      ...below,
    );
  }

  draw({ display }: Begin, values: Float32Array, tint: Tint): void {
    const { width, height, photo } = photoOf(display);
    const image = this.#reserve(width, height);
    const { lut, scale, sign, opacity, ground } = tint;
    const shade = { piece: 0, t: 1, sign, scale, opacity, ground };
    this.#blender.blend(image.data, photo, lut, undefined, values, shade);
    this.#canvas.getContext("2d")?.putImageData(image, 0, 0);
  }

  /** Title, what stands below the picture, and its name for who does not see it. */
  write(title: string, note: string, label: string): void {
    write(this.#title, title);
    write(this.#note, note);
    assign(this.#picture, { "aria-label": label });
  }

  #reserve(width: number, height: number): ImageData {
    if (this.#image?.width !== width || this.#image.height !== height) {
      this.#canvas.width = width;
      this.#canvas.height = height;
      this.#image = new ImageData(width, height);
    }
    return this.#image;
  }
}

/** Whether a list of what something depends on holds the same as before. */
export function areSame(one: readonly unknown[], other: readonly unknown[]): boolean {
  return one.length === other.length && one.every((value, i) => value === other[i]);
}
