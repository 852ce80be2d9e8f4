import type { Display } from "../core/protocol.js";

/** The display of an image: both ends of the path as RGB bytes in rows. */
export interface Photo {
  readonly width: number;
  readonly height: number;
  readonly photo: Uint8Array;
  readonly baseline: Uint8Array;
  /** Of each pixel, the superpixel that it belongs to; undefined in a recording that is older than they are. */
  readonly superpixels: Uint8Array | undefined;
}

/** Returns what is wrong with a display that is to be an image, in words; undefined where nothing is. */
export function problemOf({ kind, shape, arrays }: Display): string | undefined {
  if (kind !== "image" || shape.length !== 2) return `a ${kind} of ${shape.length} dimensions`;
  const rgb = [...shape, 3].join();
  const isGood = (name: string) =>
    arrays[name]?.values instanceof Uint8Array && arrays[name].shape.join() === rgb;
  if (!isGood("photo") || !isGood("baseline")) return "an image without photo or baseline";
  const { superpixels } = arrays;
  const isCut =
    superpixels?.values instanceof Uint8Array && superpixels.shape.join() === shape.join();
  return superpixels === undefined || isCut ? undefined : "superpixels of another picture";
}

/** Reads a display of which `problemOf` has nothing to say. */
export function photoOf({ shape, arrays }: Display): Photo {
  const [height = 0, width = 0] = shape;
  const bytes = (name: string) => (arrays[name]?.values ?? NONE) as Uint8Array;
  const superpixels = arrays.superpixels?.values as Uint8Array | undefined;
  return { width, height, photo: bytes("photo"), baseline: bytes("baseline"), superpixels };
}

/** Whether the pixels of a picture are seen one by one where it is shown, and must not run into each other. */
export function isSmall({ width, height }: Pick<Photo, "width" | "height">): boolean {
  return Math.max(width, height) < 200;
}

/** One object, so that caches by photo find it again. */
const NONE = new Uint8Array();
