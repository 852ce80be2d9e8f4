import type { Place } from "../../core/cumulative_map.js";
import type { ImageLook } from "../traits.js";

/**
 * How one frame is shaded; everything else is in the picture and the colours. A look that changes what is drawn is added
 * here, in both ways to draw it, and nowhere else.
 *
 *     v = mix(P_piece, P_piece+1, t), filtered by sign      s = clamp(v / scale, -1, 1)
 *     colour = lut[round((s / 2 + 1/2) 255)]                below = mix(photo, faded, fading)
 *     out = mix(below, colour, opacity sqrt|s|)
 *
 * `faded` is the photo in light greys, on which the colours of the map are told apart: white - 0.6 (white - luma), luma =
 * 0.299 red + 0.587 green + 0.114 blue. Fading is the opacity, or 0 where the ground is the photo in its own colours.
 * Opacity thus leads from the photo alone to the map alone.
 * Both ways give the same pixels, to one level of 255.
 */
export interface Shade extends Place, Omit<ImageLook, "alpha" | "clip" | "colormap"> {
  /** The value at the ends of the colour map; 0 where there is nothing to lay over the photo. */
  readonly scale: number;
}

/** Texture units, by the names of the shader's samplers. */
export const UNIT = { photo: 0, lut: 1, prefix: 2 } as const;

const FILTERED = { all: 0, positive: 1, negative: -1 } as const;

/** The shader's uniforms for one frame, all of them floats. */
export function uniformsOf({ piece, t, sign, scale, opacity, ground }: Shade) {
  return {
    piece,
    t,
    filtered: FILTERED[sign],
    scale: scale > 0 ? scale : 1,
    opacity: scale > 0 ? opacity : 0,
    fading: ground === "grey" ? opacity : 0,
  };
}
export type Uniform = keyof ReturnType<typeof uniformsOf> | keyof typeof UNIT;

/** One triangle that covers the canvas. */
export const VERTEX = `#version 300 es
void main(){gl_Position=vec4(gl_VertexID==1?3.:-1.,gl_VertexID==2?3.:-1.,0.,1.);}`;

/** Layer k of `prefix` holds P_(k+1); P_0 is zero and not stored. */
export const FRAGMENT = `#version 300 es
precision highp float;precision highp int;precision highp sampler2D;precision highp sampler2DArray;
uniform sampler2D photo,lut;
uniform sampler2DArray prefix;
uniform float piece,t,filtered,scale,opacity,fading;
out vec4 result;
void main(){
ivec2 pixel=ivec2(gl_FragCoord.xy);
pixel.y=textureSize(photo,0).y-1-pixel.y;
int layer=int(piece);
float before=layer==0?0.:texelFetch(prefix,ivec3(pixel,layer-1),0).r;
float after=texelFetch(prefix,ivec3(pixel,layer),0).r;
float value=mix(before,after,t);
if(filtered>0.)value=max(value,0.);
if(filtered<0.)value=min(value,0.);
float s=clamp(value/scale,-1.,1.);
vec3 colour=texelFetch(lut,ivec2(int(floor((s*.5+.5)*255.+.5)),0),0).rgb;
vec3 original=texelFetch(photo,pixel,0).rgb;
vec3 faded=vec3(1.-.6*(1.-dot(original,vec3(.299,.587,.114))));
vec3 below=mix(original,faded,fading);
result=vec4(mix(below,colour,opacity*sqrt(abs(s))),1.);
}`;

/** The shader's arithmetic on arrays. The faded photo is kept until fading changes. */
export class Blender {
  #below = new Float32Array();
  #photo: Uint8Array | undefined;
  #fading = -1;

  /** `before` is undefined for P_0. */
  blend(
    out: Uint8ClampedArray,
    photo: Uint8Array,
    lut: Uint8Array,
    before: Float32Array | undefined,
    after: Float32Array,
    { t, sign, scale, opacity, ground }: Shade,
  ): void {
    const least = sign === "positive" ? 0 : -1;
    const most = sign === "negative" ? 0 : 1;
    const below = this.#fade(photo, ground === "grey" ? opacity : 0);
    const factor = scale > 0 ? 1 / scale : 0;
    for (let i = 0, from3 = 0, to4 = 0; i < after.length; i++, from3 += 3, to4 += 4) {
      const from = before === undefined ? 0 : (before[i] as number);
      const value = (from + ((after[i] as number) - from) * t) * factor;
      const s = value < least ? least : value > most ? most : value;
      const strength = opacity * Math.sqrt(s < 0 ? -s : s);
      const colour = 3 * Math.floor(s * 127.5 + 128);
      // Three statements and no loop: this runs for each pixel of each frame.
      const red = below[from3] as number;
      const green = below[from3 + 1] as number;
      const blue = below[from3 + 2] as number;
      out[to4] = red + ((lut[colour] as number) - red) * strength;
      out[to4 + 1] = green + ((lut[colour + 1] as number) - green) * strength;
      out[to4 + 2] = blue + ((lut[colour + 2] as number) - blue) * strength;
      out[to4 + 3] = 255;
    }
  }

  #fade(photo: Uint8Array, fading: number): Float32Array {
    if (photo === this.#photo && fading === this.#fading) return this.#below;
    if (this.#below.length !== photo.length) this.#below = new Float32Array(photo.length);
    this.#photo = photo;
    this.#fading = fading;
    for (let i = 0; i < photo.length; i += 3) {
      const red = photo[i] as number;
      const green = photo[i + 1] as number;
      const blue = photo[i + 2] as number;
      const faded = 255 - 0.6 * (255 - (0.299 * red + 0.587 * green + 0.114 * blue));
      this.#below[i] = red + (faded - red) * fading;
      this.#below[i + 1] = green + (faded - green) * fading;
      this.#below[i + 2] = blue + (faded - blue) * fading;
    }
    return this.#below;
  }
}
