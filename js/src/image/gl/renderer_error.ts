/** Thrown where a picture is more than a renderer can hold, or draw any more; the message says why. */
export class RendererError extends Error {}
