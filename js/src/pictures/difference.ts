import { assign, html, write } from "../dom.js";
import { fixed, percent } from "../format.js";
import { Blender } from "../gl/canvas.js";
import type { Picture } from "../store.js";
import type { Look } from "../traits.js";
import type { Zoom } from "./zoom.js";

/** What one map has more than another, collected up to alpha, over the photo in the colours of both. */
export class Difference {
  readonly element: HTMLElement;
  readonly #canvas = html("canvas");
  readonly #picture: HTMLElement;
  readonly #title = html("span", { class: "igw-title" });
  readonly #norm = html("p", { class: "igw-collected" });
  #one = new Float32Array();
  #other = new Float32Array();
  #image: ImageData | undefined;
  /** All that the picture depends on: where nothing of it has changed, nothing is drawn. */
  #drawn: readonly unknown[] = [];
  readonly #blender = new Blender();

  constructor(zoom: Zoom, signal: AbortSignal) {
    const layer = html("div", {}, this.#canvas);
    this.#picture = html("div", { role: "img", class: "igw-picture" }, layer);
    zoom.attach(this.#picture, layer, signal);
    const caption = html("figcaption", { class: "igw-caption" }, this.#title);
    this.element = html(
      "figure",
      { class: "igw-figure igw-pane" },
      caption,
      this.#picture,
      this.#norm,
    );
  }

  /** Hidden where there is nothing to compare: no second map, another size, or another reading of the model. */
  draw(
    one: Picture | undefined,
    other: Picture | undefined,
    look: Look,
    scale: number,
    lut: Uint8Array | undefined,
  ): void {
    const canCompare = one !== undefined && other !== undefined && comparable(one, other);
    assign(this.element, { hidden: !canCompare || lut === undefined });
    if (!canCompare || lut === undefined) return;
    const { alpha, sign, opacity, ground } = look;
    const asked = [one, other, alpha, scale, sign, opacity, ground, lut];
    if (asked.every((value, i) => value === this.#drawn[i])) return;
    this.#drawn = asked;
    const { width, height, photo } = one.begin;
    const image = this.#reserve(width, height);
    one.field.valuesAt(alpha, this.#one);
    other.field.valuesAt(alpha, this.#other);
    let distance = 0;
    let size = 0;
    for (let i = 0; i < this.#one.length; i++) {
      const value = this.#one[i] as number;
      const difference = value - (this.#other[i] as number);
      size += value * value;
      distance += difference * difference;
      this.#other[i] = difference;
    }
    const shade = { piece: 0, t: 1, sign, scale, opacity, ground };
    this.#blender.blend(image.data, photo, lut, undefined, this.#other, shade);
    this.#canvas.getContext("2d")?.putImageData(image, 0, 0);
    const share = size > 0 ? Math.sqrt(distance / size) : Number.NaN;
    write(this.#title, "Difference: first pane minus second");
    write(this.#norm, `‖difference‖ is ${percent(share)} of ‖first‖`);
    assign(this.#picture, {
      "aria-label": `difference of the first two panes, alpha ${fixed(alpha, 2)}, its norm ${percent(share)} of the first`,
    });
  }

  #reserve(width: number, height: number): ImageData {
    if (this.#image?.width !== width || this.#image.height !== height) {
      this.#canvas.width = width;
      this.#canvas.height = height;
      this.#image = new ImageData(width, height);
      this.#one = new Float32Array(width * height);
      this.#other = new Float32Array(width * height);
    }
    return this.#image;
  }
}

/** Maps in the same unit, of pictures of the same size. */
export function comparable(one: Picture, other: Picture): boolean {
  return (
    one.begin.width === other.begin.width &&
    one.begin.height === other.begin.height &&
    one.begin.settings.output === other.begin.settings.output
  );
}
