import type { Thumbnail } from "../../src/image/strip_traits.js";

/** A PNG of one pixel. */
const PNG = Uint8Array.from(
  atob(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==",
  ),
  (character) => character.charCodeAt(0),
);

/** What the kernel sends of pictures, one of which cannot be read. */
export function traitsOf(names: readonly string[], broken: string): Thumbnail[] {
  return names.map((name) => ({
    name,
    picture: new DataView(name === broken ? new ArrayBuffer(0) : PNG.buffer),
  }));
}
