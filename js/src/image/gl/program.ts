const VERTEX = `#version 300 es
// One triangle that covers the canvas.
void main() {
  vec2 corner = vec2(gl_VertexID == 1 ? 3.0 : -1.0, gl_VertexID == 2 ? 3.0 : -1.0);
  gl_Position = vec4(corner, 0.0, 1.0);
}`;

const FRAGMENT = `#version 300 es
precision highp float;
precision highp int;
precision highp sampler2D;
precision highp sampler2DArray;

uniform sampler2D photo;
uniform sampler2D lut;
uniform sampler2DArray prefix;
uniform int piece;
uniform float t;
uniform int filtered;
uniform float scale;
uniform float opacity;
uniform float fading;
out vec4 result;

void main() {
  ivec2 pixel = ivec2(gl_FragCoord.xy);
  pixel.y = textureSize(photo, 0).y - 1 - pixel.y;

  // Layer k holds P_(k+1); P_0 is zero and not stored.
  float before = piece == 0 ? 0.0 : texelFetch(prefix, ivec3(pixel, piece - 1), 0).r;
  float after = texelFetch(prefix, ivec3(pixel, piece), 0).r;
  float value = mix(before, after, t);
  if (filtered > 0) value = max(value, 0.0);
  if (filtered < 0) value = min(value, 0.0);

  float s = clamp(value / scale, -1.0, 1.0);
  vec3 colour = texelFetch(lut, ivec2(int(floor((s * 0.5 + 0.5) * 255.0 + 0.5)), 0), 0).rgb;
  vec3 original = texelFetch(photo, pixel, 0).rgb;
  vec3 faded = vec3(1.0 - 0.6 * (1.0 - dot(original, vec3(0.299, 0.587, 0.114))));
  vec3 below = mix(original, faded, fading);
  result = vec4(mix(below, colour, opacity * sqrt(abs(s))), 1.0);
}`;

const UNIFORMS = [
  "photo",
  "lut",
  "prefix",
  "piece",
  "t",
  "filtered",
  "scale",
  "opacity",
  "fading",
] as const;

export type Uniform = (typeof UNIFORMS)[number];

/** The one program of the overlay, compiled and linked, with its uniforms looked up. */
export class Program {
  readonly #gl: WebGL2RenderingContext;
  readonly #program: WebGLProgram;
  readonly #uniforms: ReadonlyMap<Uniform, WebGLUniformLocation | null>;

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
    this.#uniforms = new Map(
      UNIFORMS.map((name) => [name, gl.getUniformLocation(this.#program, name)]),
    );
  }

  integer(name: Uniform, value: number): void {
    this.#gl.uniform1i(this.#uniforms.get(name) ?? null, value);
  }

  float(name: Uniform, value: number): void {
    this.#gl.uniform1f(this.#uniforms.get(name) ?? null, value);
  }

  delete(): void {
    this.#gl.deleteProgram(this.#program);
  }
}
