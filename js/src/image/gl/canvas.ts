import type { Picture } from "../../core/store.js";
import { photoOf } from "../photo.js";
import type { Renderer } from "./renderer.js";
import { Blender, type Shade } from "./shading.js";
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

  /** Draws on `context`. */
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
