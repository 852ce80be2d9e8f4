import type { CumulativeMap } from "../../core/cumulative_map.js";
import { RendererError } from "./renderer.js";
import { UNIT } from "./shading.js";

/** A texture of RGB bytes: the photo, or the colour map as one row. */
export class BytesTexture {
  readonly #gl: WebGL2RenderingContext;
  readonly #unit: number;
  readonly #texture: WebGLTexture;

  constructor(gl: WebGL2RenderingContext, unit: number) {
    this.#gl = gl;
    this.#unit = unit;
    this.#texture = gl.createTexture();
    gl.activeTexture(gl.TEXTURE0 + unit);
    gl.bindTexture(gl.TEXTURE_2D, this.#texture);
    exact(gl, gl.TEXTURE_2D);
  }

  set(rgb: Uint8Array, width: number, height: number): void {
    const gl = this.#gl;
    gl.activeTexture(gl.TEXTURE0 + this.#unit);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB8, width, height, 0, gl.RGB, gl.UNSIGNED_BYTE, rgb);
  }

  delete(): void {
    this.#gl.deleteTexture(this.#texture);
  }
}

/** The prefix sums P_1 to P_n as the layers of one array texture of floats. */
export class PrefixTexture {
  readonly #gl: WebGL2RenderingContext;
  #texture: WebGLTexture | undefined;
  #width = 0;
  #height = 0;
  #capacity = 0;

  constructor(gl: WebGL2RenderingContext) {
    this.#gl = gl;
  }

  set(map: CumulativeMap, width: number, height: number): void {
    this.#reserve(map.layers, width, height);
    const gl = this.#gl;
    gl.activeTexture(gl.TEXTURE0 + UNIT.prefix);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 4);
    map.eachPrefix((prefix, layer) => {
      gl.texSubImage3D(
        gl.TEXTURE_2D_ARRAY,
        0,
        0,
        0,
        layer,
        width,
        height,
        1,
        gl.RED,
        gl.FLOAT,
        prefix,
      );
    });
    if (gl.getError() === gl.OUT_OF_MEMORY) throw new RendererError("the GPU's memory is full");
  }

  delete(): void {
    this.#gl.deleteTexture(this.#texture ?? null);
    this.#texture = undefined;
    this.#capacity = 0;
  }

  /** Allocates the layers, in powers of two, because refinement adds layers step by step. */
  #reserve(layers: number, width: number, height: number): void {
    if (layers <= this.#capacity && width === this.#width && height === this.#height) return;
    const gl = this.#gl;
    const most: number = gl.getParameter(gl.MAX_ARRAY_TEXTURE_LAYERS) ?? 0;
    if (layers > most && !gl.isContextLost())
      throw new RendererError(`${layers} steps are more than the ${most} layers of this GPU`);
    this.delete();
    this.#width = width;
    this.#height = height;
    this.#capacity = Math.min(2 ** Math.ceil(Math.log2(layers)), most);
    this.#texture = gl.createTexture();
    gl.activeTexture(gl.TEXTURE0 + UNIT.prefix);
    gl.bindTexture(gl.TEXTURE_2D_ARRAY, this.#texture);
    exact(gl, gl.TEXTURE_2D_ARRAY);
    gl.texStorage3D(gl.TEXTURE_2D_ARRAY, 1, gl.R32F, width, height, this.#capacity);
  }
}

/** Turns filtering off: not every GPU can filter floats, and texels are read exactly. */
function exact(gl: WebGL2RenderingContext, target: number): void {
  gl.texParameteri(target, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
  gl.texParameteri(target, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
  gl.texParameteri(target, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
  gl.texParameteri(target, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
}
