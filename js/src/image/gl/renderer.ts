import type { Place } from "../../core/cumulative_map.js";
import type { Picture } from "../../core/store.js";
import type { Ground, Sign } from "../../core/traits.js";

/** How one frame is shaded; everything else is in the picture and the colours. */
export interface Shade extends Place {
  readonly sign: Sign;
  /** The value at the ends of the colour map; 0 where there is nothing to lay over the photo. */
  readonly scale: number;
  readonly opacity: number;
  readonly ground: Ground;
}

/**
 * Draws the attribution over the photo:
 *
 *     v = mix(P_piece, P_piece+1, t), filtered by sign      s = clamp(v / scale, -1, 1)
 *     colour = lut[round((s / 2 + 1/2) 255)]                below = mix(photo, faded, fading)
 *     out = mix(below, colour, opacity sqrt|s|)
 *
 * `faded` is the photo in light greys, on which the colours of the map are told apart: white - 0.6 (white - luma), luma =
 * 0.299 red + 0.587 green + 0.114 blue. Fading is the opacity, or 0 where the ground is the photo in its own colours.
 * Opacity thus leads from the photo alone to the map alone.
 * All renderers give the same pixels, to one level of 255.
 */
export interface Renderer {
  readonly name: "webgl2" | "canvas";
  /** Throws `RendererError`, with the reason, where this picture is more than the renderer can hold. */
  show(picture: Picture): void;
  /** 256 RGB colours. */
  paint(lut: Uint8Array): void;
  /** Throws `RendererError`, with the reason, where it cannot draw any more. */
  draw(shade: Shade): void;
}

export interface Choice {
  readonly renderer: Renderer;
  /** Why this one, in words. */
  readonly reason: string;
}
