import type { Display } from "../core/protocol.js";

/** The display of an image: both ends of the path as RGB bytes in rows. */
export interface Photo {
  readonly width: number;
  readonly height: number;
  readonly photo: Uint8Array;
  readonly baseline: Uint8Array;
}

/** Returns what is wrong with a display that is to be an image, in words; undefined where nothing is. */
export function problemOf({ kind, shape, arrays }: Display): string | undefined {
  if (kind !== "image" || shape.length !== 2) return `a ${kind} of ${shape.length} dimensions`;
  const rgb = [...shape, 3].join();
  const isGood = (name: string) =>
    arrays[name]?.values instanceof Uint8Array && arrays[name].shape.join() === rgb;
  return isGood("photo") && isGood("baseline") ? undefined : "an image without photo or baseline";
}

/** Reads a display of which `problemOf` has nothing to say. */
export function photoOf({ shape, arrays }: Display): Photo {
  const [height = 0, width = 0] = shape;
  const bytes = (name: string) => (arrays[name]?.values ?? NONE) as Uint8Array;
  return { width, height, photo: bytes("photo"), baseline: bytes("baseline") };
}

/** One object, so that caches by photo find it again. */
const NONE = new Uint8Array();
