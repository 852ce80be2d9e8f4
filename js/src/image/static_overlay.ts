import type { StaticMap } from "../core/kind.js";
import type { Begin } from "../core/protocol.js";
import { assign, html, paragraph, span, write } from "../util/dom.js";
import { captioned } from "../util/parts.js";
import type { Zoom } from "../views/zoom.js";
import { Blender } from "./gl/shading.js";
import { photoOf } from "./photo.js";
import type { ImageLook } from "./traits.js";

/** Draws a map over the photo that does not depend on alpha; without WebGL, as it seldom changes. */
export class StaticOverlay implements StaticMap {
  readonly element: HTMLElement;
  readonly #canvas = html("canvas");
  readonly #picture: HTMLElement;
  readonly #title = span("igw-title");
  readonly #note = paragraph("igw-collected");
  readonly #blender = new Blender();
  #image: ImageData | undefined;

  constructor(zoom: Zoom, signal: AbortSignal, ...below: Node[]) {
    const layer = html("div", {}, this.#canvas);
    this.#picture = html("div", { role: "img", class: "igw-picture" }, layer);
    zoom.attach(this.#picture, layer, signal);
    this.element = captioned(
      "igw-figure igw-pane",
      [this.#title],
      this.#picture,
      this.#note,
      ...below,
    );
  }

  draw(begin: Begin, values: Float32Array, look: ImageLook, scale: number, lut: Uint8Array): void {
    const { width, height, photo } = photoOf(begin.display);
    const image = this.#reserve(width, height);
    const shade = { piece: 0, t: 1, ...look, scale };
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
