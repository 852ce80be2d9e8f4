import type { Picture } from "../../core/store.js";
import type { Shade } from "./shading.js";

/** Draws the attribution over the photo, as `shading.ts` defines it. */
export interface Renderer {
  readonly name: "webgl2" | "canvas";
  /** Throws `RendererError`, with the reason, where this picture is more than the renderer can hold. */
  show(picture: Picture): void;
  /** 256 RGB colours. */
  paint(lut: Uint8Array): void;
  /** Throws `RendererError`, with the reason, where it cannot draw any more. */
  draw(shade: Shade): void;
}

/** Thrown where a picture is more than a renderer can hold, or draw any more; the message says why. */
export class RendererError extends Error {}
