import type { Picture } from "../../core/store.js";
import { listen, onAbort } from "../../util/life.js";
import { photoOf } from "../photo.js";
import { Program } from "./program.js";
import { type Renderer, RendererError } from "./renderer.js";
import { type Shade, UNIT, uniformsOf } from "./shading.js";
import { resize } from "./size.js";
import { BytesTexture, PrefixTexture } from "./textures.js";

/** Objects on the GPU; a lost context loses them. */
interface Resources {
  readonly program: Program;
  readonly photo: BytesTexture;
  readonly lut: BytesTexture;
  readonly prefix: PrefixTexture;
}

const LOST =
  "the browser has taken WebGL2 away from this picture, as it does where a page has more than about 16; " +
  "it is used again once the browser gives it back";

/** Called when the browser takes the context away or gives it back. */
export interface ContextCallbacks {
  lost(reason: string): void;
  /** Everything can be drawn again. */
  restored(): void;
}

/** The overlay by WebGL2: moving alpha costs some uniforms and one draw of two fetches a pixel. */
export class WebGLOverlay implements Renderer {
  readonly name = "webgl2";
  /** What is drawn; empty once the context is lost. */
  readonly canvas: HTMLCanvasElement;
  readonly #gl: WebGL2RenderingContext;
  #resources: Resources;
  #picture: Picture | undefined;
  #lut: Uint8Array | undefined;

  /** Returns undefined where there is no WebGL2. Throws, with the reason, where it cannot do this. */
  static on(
    canvas: HTMLCanvasElement,
    fate: ContextCallbacks,
    signal: AbortSignal,
  ): WebGLOverlay | undefined {
    const gl = canvas.getContext("webgl2", {
      alpha: false,
      antialias: false,
      depth: false,
      // Otherwise the drawing cannot be copied between two frames.
      preserveDrawingBuffer: true,
    });
    return gl === null ? undefined : new WebGLOverlay(canvas, gl, fate, signal);
  }

  private constructor(
    canvas: HTMLCanvasElement,
    gl: WebGL2RenderingContext,
    fate: ContextCallbacks,
    signal: AbortSignal,
  ) {
    this.canvas = canvas;
    this.#gl = gl;
    this.#resources = build(gl);
    const lose = (event: Event) => {
      // Otherwise a lost context never comes back.
      event.preventDefault();
      fate.lost(LOST);
    };
    const restore = () => {
      this.#resources = build(gl);
      fate.restored();
    };
    listen(canvas, "webglcontextlost", lose, signal);
    listen(canvas, "webglcontextrestored", restore, signal);
    onAbort(signal, () => this.#dispose());
  }

  show(picture: Picture): void {
    this.#picture = picture;
    const { width, height, photo } = photoOf(picture.begin.display);
    resize(this.canvas, { width, height });
    this.#resources.photo.set(photo, width, height);
    this.#resources.prefix.set(picture.map, width, height);
  }

  paint(lut: Uint8Array): void {
    this.#lut = lut;
    this.#resources.lut.set(lut, 256, 1);
  }

  draw(shade: Shade): void {
    if (this.#picture === undefined || this.#lut === undefined) return;
    const gl = this.#gl;
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    this.#resources.program.set(uniformsOf(shade));
    gl.drawArrays(gl.TRIANGLES, 0, 3);
    this.#requireContext();
  }

  /** Throws `RendererError` as `draw` does. */
  copyTo(other: CanvasRenderingContext2D): void {
    this.#requireContext();
    resize(other.canvas, this.canvas);
    other.drawImage(this.canvas, 0, 0);
  }

  /** The event of a loss comes later than the loss. */
  #requireContext(): void {
    if (this.#gl.isContextLost()) throw new RendererError(LOST);
  }

  /** Releases the context at once and not at garbage collection: a browser has about sixteen. */
  #dispose(): void {
    const { program, photo, lut, prefix } = this.#resources;
    for (const resource of [program, photo, lut, prefix]) resource.delete();
    this.#picture = undefined;
    this.#gl.getExtension("WEBGL_lose_context")?.loseContext();
  }
}

function build(gl: WebGL2RenderingContext): Resources {
  const program = new Program(gl);
  for (const [name, unit] of Object.entries(UNIT)) program.sampler(name as keyof typeof UNIT, unit);
  return {
    program,
    photo: new BytesTexture(gl, UNIT.photo),
    lut: new BytesTexture(gl, UNIT.lut),
    prefix: new PrefixTexture(gl),
  };
}
