import { FRAGMENT, type Uniform, VERTEX } from "./shading.js";

/** The one program of the overlay, compiled and linked; its uniforms are looked up once. */
export class Program {
  readonly #gl: WebGL2RenderingContext;
  readonly #program: WebGLProgram;
  readonly #places = new Map<string, WebGLUniformLocation | null>();

  constructor(gl: WebGL2RenderingContext) {
    this.#gl = gl;
    this.#program = gl.createProgram();
    for (const [kind, source] of [
      [gl.VERTEX_SHADER, VERTEX],
      [gl.FRAGMENT_SHADER, FRAGMENT],
    ] as const) {
      const shader = gl.createShader(kind);
      if (shader === null) continue; // The context is lost; it is built again when it comes back.
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(this.#program, shader);
      gl.deleteShader(shader);
    }
    gl.linkProgram(this.#program);
    if (!gl.getProgramParameter(this.#program, gl.LINK_STATUS) && !gl.isContextLost())
      throw new Error(`The overlay's shader: ${gl.getProgramInfoLog(this.#program)}`);
    gl.useProgram(this.#program);
  }

  /** Which texture unit a sampler reads. */
  sampler(name: Uniform, unit: number): void {
    this.#gl.uniform1i(this.#place(name), unit);
  }

  set(values: Readonly<Partial<Record<Uniform, number>>>): void {
    for (const [name, value] of Object.entries(values))
      this.#gl.uniform1f(this.#place(name), value);
  }

  delete(): void {
    this.#gl.deleteProgram(this.#program);
  }

  #place(name: string): WebGLUniformLocation | null {
    let place = this.#places.get(name);
    if (place === undefined) {
      place = this.#gl.getUniformLocation(this.#program, name);
      this.#places.set(name, place);
    }
    return place;
  }
}
