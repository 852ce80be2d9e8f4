import type { Picture } from "../../core/store.js";
import { photoOf } from "../photo.js";
import type { Renderer, Shade } from "./renderer.js";
import { resize } from "./size.js";

/** The overlay by Canvas2D, where there is no WebGL2: the shader's arithmetic, pixel by pixel. */
export class CanvasOverlay implements Renderer {
  readonly name = "canvas";
  readonly #context: CanvasRenderingContext2D;
  readonly #blender = new Blender();
  #picture: Picture | undefined;
  #lut: Uint8Array | undefined;
  #layers: Float32Array[] = [];
  #image: ImageData | undefined;

  /** `context` is drawn on. */
  constructor(context: CanvasRenderingContext2D) {
    this.#context = context;
  }

  show(picture: Picture): void {
    const { width, height } = photoOf(picture.begin.display);
    if (this.#image?.width !== width || this.#image.height !== height) {
      this.#image = this.#context.createImageData(width, height);
      this.#layers = [];
    }
    this.#picture = picture;
    this.#layers.length = Math.min(this.#layers.length, picture.map.layers);
    picture.map.eachPrefix((prefix, layer) => {
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
    const before = this.#layers[shade.piece - 1];
    this.#blender.blend(
      image.data,
      photoOf(picture.begin.display).photo,
      this.#lut,
      before,
      after,
      shade,
    );
    resize(this.#context.canvas, image);
    this.#context.putImageData(image, 0, 0);
  }
}

/** The shader's arithmetic on arrays. What lies below the map is kept as long as it is looked at in the same way. */
export class Blender {
  #below = new Float32Array();
  #photo: Uint8Array | undefined;
  #fading = -1;

  /** P_0, before the first layer, is zero everywhere and not stored. */
  blend(
    out: Uint8ClampedArray,
    photo: Uint8Array,
    lut: Uint8Array,
    before: Float32Array | undefined,
    after: Float32Array,
    { t, sign, scale, opacity, ground }: Shade,
  ): void {
    const least = sign === "positive" ? 0 : -1;
    const most = sign === "negative" ? 0 : 1;
    const below = this.#fade(photo, ground === "grey" ? opacity : 0);
    const factor = scale > 0 ? 1 / scale : 0;
    for (let i = 0, from3 = 0, to4 = 0; i < after.length; i++, from3 += 3, to4 += 4) {
      const from = before === undefined ? 0 : (before[i] as number);
      const value = (from + ((after[i] as number) - from) * t) * factor;
      const s = value < least ? least : value > most ? most : value;
      const strength = opacity * Math.sqrt(s < 0 ? -s : s);
      const colour = 3 * Math.floor(s * 127.5 + 128);
      const red = below[from3] as number;
      const green = below[from3 + 1] as number;
      const blue = below[from3 + 2] as number;
      out[to4] = red + ((lut[colour] as number) - red) * strength;
      out[to4 + 1] = green + ((lut[colour + 1] as number) - green) * strength;
      out[to4 + 2] = blue + ((lut[colour + 2] as number) - blue) * strength;
      out[to4 + 3] = 255;
    }
  }

  #fade(photo: Uint8Array, fading: number): Float32Array {
    if (photo === this.#photo && fading === this.#fading) return this.#below;
    if (this.#below.length !== photo.length) this.#below = new Float32Array(photo.length);
    this.#photo = photo;
    this.#fading = fading;
    for (let i = 0; i < photo.length; i += 3) {
      const red = photo[i] as number;
      const green = photo[i + 1] as number;
      const blue = photo[i + 2] as number;
      const faded = 255 - 0.6 * (255 - (0.299 * red + 0.587 * green + 0.114 * blue));
      this.#below[i] = red + (faded - red) * fading;
      this.#below[i + 1] = green + (faded - green) * fading;
      this.#below[i + 2] = blue + (faded - blue) * fading;
    }
    return this.#below;
  }
}
