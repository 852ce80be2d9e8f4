import { balance } from "../charts/completeness.js";
import { assign, html, write } from "../dom.js";
import { fixed, percent, shorten, signed, significant } from "../format.js";
import type { Choice } from "../gl/renderer.js";
import { Screen } from "../gl/screen.js";
import type { Picture } from "../store.js";
import type { Look } from "../traits.js";
import { PixelCursor } from "./pixel_cursor.js";

/** The photo with its attribution over it, and what is under the pointer, in numbers. */
export class Overlay {
  readonly element: HTMLElement;
  readonly readout = html("p", { class: "igw-readout", "aria-live": "polite" });
  readonly #cursor: PixelCursor;
  readonly #screen: Screen;
  #picture: Picture | undefined;

  /** `redraw` is called when another frame is wanted. */
  constructor(redraw: () => void, signal: AbortSignal) {
    this.#screen = new Screen(redraw, signal);
    this.element = html("div", { role: "img", tabindex: 0, class: "igw-picture igw-overlay" });
    this.#cursor = new PixelCursor(this.element, redraw, signal);
    this.element.append(this.#screen.canvas, this.#cursor.element);
    this.#describe(0);
  }

  get choice(): Choice {
    return this.#screen;
  }

  paint(lut: Uint8Array): void {
    this.#screen.paint(lut);
  }

  show(picture: Picture): void {
    this.#picture = picture;
    this.#cursor.resize(picture.begin.width, picture.begin.height);
    this.#screen.show(picture);
  }

  draw({ alpha, opacity, sign }: Look, scale: number): void {
    this.#describe(alpha);
    this.#read(alpha);
    if (this.#picture === undefined) return;
    const place = this.#picture.field.place(alpha);
    this.#screen.draw({ ...place, sign, scale, opacity });
  }

  #describe(alpha: number): void {
    assign(this.element, { "aria-label": this.#inWords(alpha) });
  }

  #inWords(alpha: number): string {
    if (this.#picture === undefined) return "attribution overlay: nothing sampled yet";
    const { begin, plan } = this.#picture;
    const score = `${shorten(begin.outputName)} ${significant(balance(plan).atInput)}`;
    const name = shorten(begin.className);
    return `attribution overlay: ${name}, ${score}, alpha ${fixed(alpha, 2)}, delta ${signed(plan.delta, 2)}`;
  }

  #read(alpha: number): void {
    const { pixel } = this.#cursor;
    if (pixel === undefined || this.#picture === undefined) {
      write(this.readout, "Point at a pixel, or use the arrow keys, to read it");
      return;
    }
    const { begin, plan, field } = this.#picture;
    const value = field.valueAt(pixel.row * begin.width + pixel.column, alpha);
    const share = plan.sum === 0 ? Number.NaN : value / plan.sum;
    write(
      this.readout,
      `pixel (${pixel.column}, ${pixel.row}): ${signed(value)}, ${percent(share, 3)} of the total`,
    );
  }
}
