import type { Picture } from "../store.js";
import { Program } from "./program.js";
import type { Renderer, Shade } from "./renderer.js";
import { BytesTexture, PrefixTexture, UNIT } from "./textures.js";

/** What lives on the GPU, and is gone when the context is lost. */
interface Resources {
  readonly program: Program;
  readonly photo: BytesTexture;
  readonly lut: BytesTexture;
  readonly prefix: PrefixTexture;
}

const FILTERED = { all: 0, positive: 1, negative: -1 } as const;

/** The overlay by WebGL2: moving alpha costs some uniforms and one draw of two fetches a pixel. */
export class WebGLOverlay implements Renderer {
  readonly name = "webgl2";
  readonly canvas: HTMLCanvasElement;
  readonly #gl: WebGL2RenderingContext;
  #resources: Resources;
  #picture: Picture | undefined;
  #lut: Uint8Array | undefined;

  /** Returns undefined where there is no WebGL2, or none that can do it. */
  static on(
    canvas: HTMLCanvasElement,
    redraw: () => void,
    signal: AbortSignal,
  ): WebGLOverlay | undefined {
    const gl = canvas.getContext("webgl2", {
      alpha: false,
      antialias: false,
      depth: false,
      // Else what was drawn is gone for whoever takes a picture of the page between two frames.
      preserveDrawingBuffer: true,
    });
    return gl === null ? undefined : new WebGLOverlay(canvas, gl, redraw, signal);
  }

  private constructor(
    canvas: HTMLCanvasElement,
    gl: WebGL2RenderingContext,
    redraw: () => void,
    signal: AbortSignal,
  ) {
    this.canvas = canvas;
    this.#gl = gl;
    this.#resources = build(gl);
    // Without preventDefault a lost context never comes back.
    canvas.addEventListener("webglcontextlost", (event) => event.preventDefault(), { signal });
    canvas.addEventListener("webglcontextrestored", () => this.#restore(redraw), { signal });
    signal.addEventListener("abort", () => this.#dispose(), { once: true });
  }

  show(picture: Picture): void {
    this.#picture = picture;
    const { width, height, photo } = picture.begin;
    if (this.canvas.width !== width) this.canvas.width = width;
    if (this.canvas.height !== height) this.canvas.height = height;
    this.#resources.photo.set(photo, width, height);
    this.#resources.prefix.set(picture.field, width, height);
  }

  paint(lut: Uint8Array): void {
    this.#lut = lut;
    this.#resources.lut.set(lut, 256, 1);
  }

  draw({ piece, t, sign, scale, opacity }: Shade): void {
    if (this.#picture === undefined || this.#lut === undefined) return;
    const gl = this.#gl;
    const { program } = this.#resources;
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    program.integer("piece", piece);
    program.float("t", t);
    program.integer("filtered", FILTERED[sign]);
    program.float("scale", scale > 0 ? scale : 1);
    program.float("opacity", scale > 0 ? opacity : 0);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  #restore(redraw: () => void): void {
    this.#resources = build(this.#gl);
    if (this.#picture !== undefined) this.show(this.#picture);
    if (this.#lut !== undefined) this.paint(this.#lut);
    redraw();
  }

  /** At once, not when the garbage is collected: a browser has about sixteen contexts. */
  #dispose(): void {
    const { program, photo, lut, prefix } = this.#resources;
    for (const resource of [program, photo, lut, prefix]) resource.delete();
    this.#picture = undefined;
    this.#gl.getExtension("WEBGL_lose_context")?.loseContext();
  }
}

function build(gl: WebGL2RenderingContext): Resources {
  const program = new Program(gl);
  for (const [name, unit] of Object.entries(UNIT)) program.integer(name as keyof typeof UNIT, unit);
  return {
    program,
    photo: new BytesTexture(gl, UNIT.photo),
    lut: new BytesTexture(gl, UNIT.lut),
    prefix: new PrefixTexture(gl),
  };
}
