import type { DrawnBy } from "../../core/kind.js";
import type { Picture } from "../../core/store.js";
import { listen, onAbort } from "../../util/life.js";
import { CanvasOverlay } from "./canvas.js";
import { WebGLOverlay } from "./overlay.js";
import { type Renderer, RendererError } from "./renderer.js";
import type { Shade } from "./shading.js";

/** Frames closer than this, in milliseconds, belong to one movement. */
const REST = 300;

/**
 * Shows the overlay, drawn by WebGL2 as long as the browser grants it, else by Canvas2D.
 *
 * Browsers grant about sixteen contexts a page, and for one more they take away the one that has rested longest.
 * WebGL's own canvas is therefore in the page only while the picture moves; at rest it is a copy, which stays whatever
 * becomes of the context. (To copy each frame would take a good part of it.) A context that is given back is used again:
 * browsers do so only where there is room, and nobody sees the change.
 */
export class Screen implements DrawnBy {
  readonly #still: CanvasRenderingContext2D;
  readonly #webgl: WebGLOverlay | undefined;
  #canvas: HTMLCanvasElement;
  #renderer: Renderer;
  #reason = "drawn by Canvas2D: this browser offers no WebGL2";
  #picture: Picture | undefined;
  #lut: Uint8Array | undefined;
  #shade: Shade | undefined;
  /** Whether the last shade that was requested is on the screen. */
  #isClean = false;
  #drawn = Number.NEGATIVE_INFINITY;
  #rest: number | undefined;

  /**
   * `redraw` is called when the renderer has changed. `isBeside`: the picture is one of several; where WebGL is drawn by
   * the processor these are drawn by Canvas2D, as several contexts wait for one another.
   */
  constructor(redraw: () => void, signal: AbortSignal, isBeside = false) {
    this.#canvas = document.createElement("canvas");
    const still = this.#canvas.getContext("2d", { alpha: false });
    if (still === null) throw new Error("This browser draws neither by WebGL2 nor by Canvas2D.");
    this.#still = still;
    this.#renderer = new CanvasOverlay(still);
    // A canvas that the GPU's driver lost comes back empty.
    listen(still.canvas, "contextrestored", () => this.#repeat(), signal);
    onAbort(signal, () => window.clearTimeout(this.#rest));
    const lost = (reason: string) => {
      this.#fallBack(reason);
      redraw();
    };
    const restored = () => {
      this.#useWebGL();
      redraw();
    };
    if (isBeside && isSoftware()) {
      this.#reason = "drawn by Canvas2D: WebGL2 is drawn by the processor here";
      return;
    }
    try {
      this.#webgl = WebGLOverlay.on(document.createElement("canvas"), { lost, restored }, signal);
      this.#useWebGL();
    } catch (error) {
      this.#reason = `drawn by Canvas2D: ${error instanceof Error ? error.message : error}`;
    }
  }

  /** The canvas in the page; one takes the place of the other. */
  get canvas(): HTMLCanvasElement {
    return this.#canvas;
  }

  get renderer(): Renderer {
    return this.#renderer;
  }

  get reason(): string {
    return this.#reason;
  }

  show(picture: Picture): void {
    this.#picture = picture;
    this.#isClean = false;
    // Its piece belongs to the plan of another picture.
    this.#shade = undefined;
    this.#attempt(() => this.#renderer.show(picture));
  }

  /** 256 RGB colours. */
  paint(lut: Uint8Array): void {
    this.#lut = lut;
    this.#isClean = false;
    this.#renderer.paint(lut);
  }

  draw(shade: Shade): void {
    // Nothing is drawn yet that could be copied.
    if (this.#picture === undefined || this.#lut === undefined) return;
    if (this.#isClean && this.#shade !== undefined && areSame(shade, this.#shade)) return;
    this.#shade = shade;
    this.#isClean = true;
    const now = performance.now();
    const moves = now - this.#drawn < REST;
    this.#drawn = now;
    this.#attempt(() => this.#renderer.draw(shade));
    window.clearTimeout(this.#rest);
    if (!moves) this.#settle();
    else if (this.#renderer === this.#webgl) {
      this.#place(this.#webgl.canvas);
      this.#rest = window.setTimeout(() => this.#settle(), REST);
    }
  }

  #settle(): void {
    const webgl = this.#webgl;
    if (webgl === undefined || this.#renderer !== webgl || this.#shade === undefined) return;
    this.#attempt(() => webgl.copyTo(this.#still));
    this.#place(this.#still.canvas);
  }

  #repeat(): void {
    const shade = this.#shade;
    if (shade === undefined) return;
    this.#attempt(() => this.#renderer.draw(shade));
    this.#settle();
  }

  #useWebGL(): void {
    const webgl = this.#webgl;
    if (webgl !== undefined) this.#attempt(() => this.#take(webgl, "drawn by WebGL2"));
  }

  #attempt(action: () => void): void {
    try {
      action();
    } catch (error) {
      if (!(error instanceof RendererError)) throw error;
      this.#fallBack(error.message);
    }
  }

  #fallBack(reason: string): void {
    if (this.#renderer.name === "canvas") return;
    this.#take(new CanvasOverlay(this.#still), `drawn by Canvas2D: ${reason}`);
    this.#place(this.#still.canvas);
  }

  #take(renderer: Renderer, reason: string): void {
    this.#renderer = renderer;
    this.#reason = reason;
    if (this.#lut !== undefined) renderer.paint(this.#lut);
    if (this.#picture !== undefined) renderer.show(this.#picture);
    if (this.#shade !== undefined) renderer.draw(this.#shade);
  }

  #place(canvas: HTMLCanvasElement): void {
    if (canvas === this.#canvas) return;
    this.#canvas.replaceWith(canvas);
    this.#canvas = canvas;
  }
}

function areSame(one: Shade, other: Shade): boolean {
  return (Object.keys(one) as (keyof Shade)[]).every((name) => one[name] === other[name]);
}

/** Whether WebGL runs on the CPU. Creates a context to find out, and releases it at once. */
function isSoftware(): boolean {
  const gl = document.createElement("canvas").getContext("webgl2");
  if (gl === null) return true;
  const info = gl.getExtension("WEBGL_debug_renderer_info");
  const name = String(gl.getParameter(info?.UNMASKED_RENDERER_WEBGL ?? gl.RENDERER));
  gl.getExtension("WEBGL_lose_context")?.loseContext();
  return /swiftshader|llvmpipe|software|basic render/i.test(name);
}
