import type { Place } from "../field.js";
import type { Picture } from "../store.js";
import type { Sign } from "../traits.js";
import { CanvasOverlay } from "./canvas.js";
import { WebGLOverlay } from "./overlay.js";

/** How one frame is shaded; everything else is in the picture and the colours. */
export interface Shade extends Place {
  readonly sign: Sign;
  /** The value at the ends of the colour map; 0 where there is nothing to lay over the photo. */
  readonly scale: number;
  readonly opacity: number;
}

/**
 * Draws the attribution over the photo:
 *
 *     v = mix(P_piece, P_piece+1, t), filtered by sign      s = clamp(v / scale, -1, 1)
 *     colour = lut[round((s / 2 + 1/2) 255)]                below = mix(photo, faded, opacity)
 *     out = mix(below, colour, opacity sqrt|s|)
 *
 * `faded` is the photo in light greys, on which the colours of the map are told apart: white - 0.6 (white - luma), luma =
 * 0.299 red + 0.587 green + 0.114 blue. Opacity thus leads from the photo alone to the map alone.
 * All renderers give the same pixels, to one level of 255.
 */
export interface Renderer {
  readonly name: "webgl2" | "canvas";
  readonly canvas: HTMLCanvasElement;
  /** Throws `Unfit`, with the reason, where this picture is more than the renderer can hold. */
  show(picture: Picture): void;
  /** 256 RGB colours. */
  paint(lut: Uint8Array): void;
  draw(shade: Shade): void;
}

export interface Choice {
  readonly renderer: Renderer;
  /** Why this one, in words. */
  readonly reason: string;
}

/** WebGL2 where there is any; `redraw` is called when a lost context has come back. */
export function chooseRenderer(redraw: () => void, signal: AbortSignal): Choice {
  try {
    const renderer = WebGLOverlay.on(document.createElement("canvas"), redraw, signal);
    if (renderer !== undefined) return { renderer, reason: "drawn by WebGL2" };
  } catch (error) {
    return canvasRenderer(`drawn by Canvas2D: ${error instanceof Error ? error.message : error}`);
  }
  return canvasRenderer("drawn by Canvas2D: this browser offers no WebGL2");
}

export function canvasRenderer(reason: string): Choice {
  return { renderer: new CanvasOverlay(document.createElement("canvas")), reason };
}
