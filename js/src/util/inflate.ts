/** Returns the bytes that zlib has deflated. Throws a sentence where the browser cannot inflate. */
export async function inflate(deflated: BlobPart): Promise<Uint8Array<ArrayBuffer>> {
  if (typeof DecompressionStream === "undefined")
    throw new Error(
      "This browser is too old: the explorer needs DecompressionStream, as in Chrome 80, Safari 16.4, Firefox 113 or later",
    );
  const stream = new Blob([deflated]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
