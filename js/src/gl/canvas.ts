import type { Picture } from "../store.js";
import type { Renderer, Shade } from "./renderer.js";
import { resize } from "./size.js";

/** The overlay by Canvas2D, where there is no WebGL2: the shader's arithmetic, pixel by pixel. */
export class CanvasOverlay implements Renderer {
  readonly name = "canvas";
  readonly #context: CanvasRenderingContext2D;
  #picture: Picture | undefined;
  #lut: Uint8Array | undefined;
  #layers: Float32Array[] = [];
  #image: ImageData | undefined;

  /** `context` is drawn on. */
  constructor(context: CanvasRenderingContext2D) {
    this.#context = context;
  }

  show(picture: Picture): void {
    const { width, height } = picture.begin;
    if (this.#image?.width !== width || this.#image.height !== height) {
      this.#image = this.#context.createImageData(width, height);
      this.#layers = [];
    }
    this.#picture = picture;
    this.#layers.length = Math.min(this.#layers.length, picture.field.layers);
    picture.field.eachPrefix((prefix, layer) => {
      const kept = this.#layers[layer];
      if (kept === undefined) this.#layers[layer] = prefix.slice();
      else kept.set(prefix);
    });
  }

  paint(lut: Uint8Array): void {
    this.#lut = lut;
  }

  draw(shade: Shade): void {
    const picture = this.#picture;
    const image = this.#image;
    const after = this.#layers[shade.piece];
    if (picture === undefined || image === undefined || this.#lut === undefined) return;
    if (after === undefined) return;
    blend(image.data, picture.begin.photo, this.#lut, this.#layers[shade.piece - 1], after, shade);
    resize(this.#context.canvas, image);
    this.#context.putImageData(image, 0, 0);
  }
}

/** P_0, before the first layer, is zero everywhere and not stored. */
export function blend(
  out: Uint8ClampedArray,
  photo: Uint8Array,
  lut: Uint8Array,
  before: Float32Array | undefined,
  after: Float32Array,
  { t, sign, scale, opacity, ground }: Shade,
): void {
  const least = sign === "positive" ? 0 : -1;
  const most = sign === "negative" ? 0 : 1;
  const fading = ground === "grey" ? opacity : 0;
  for (let i = 0; i < after.length; i++) {
    const from = before === undefined ? 0 : (before[i] as number);
    const value = from + ((after[i] as number) - from) * t;
    const s = scale > 0 ? Math.min(Math.max(value / scale, least), most) : 0;
    const strength = opacity * Math.sqrt(Math.abs(s));
    const red = photo[3 * i] as number;
    const green = photo[3 * i + 1] as number;
    const blue = photo[3 * i + 2] as number;
    const faded = 255 - 0.6 * (255 - (0.299 * red + 0.587 * green + 0.114 * blue));
    const colour = 3 * Math.floor((s * 0.5 + 0.5) * 255 + 0.5);
    for (let channel = 0; channel < 3; channel++) {
      const original = photo[3 * i + channel] as number;
      const below = original + (faded - original) * fading;
      const above = lut[colour + channel] as number;
      out[4 * i + channel] = below + (above - below) * strength;
    }
    out[4 * i + 3] = 255;
  }
}
