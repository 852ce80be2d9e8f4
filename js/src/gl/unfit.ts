/** Thrown where a picture is more than a renderer can hold; the message says what of it. */
export class Unfit extends Error {}
