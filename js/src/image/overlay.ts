import { balance } from "../charts/completeness.js";
import type { MapView } from "../core/kind.js";
import type { Picture } from "../core/store.js";
import type { Selections } from "../panels/selections.js";
import { assign, html, write } from "../util/dom.js";
import { fixed, percent, shorten, signed, significant } from "../util/format.js";
import { type Pixel, PixelCursor } from "../views/cursor.js";
import type { Region } from "../views/region.js";
import { RegionOutlines } from "../views/region_outlines.js";
import { RegionTool } from "../views/region_tool.js";
import { Surface } from "../views/surface.js";
import type { Zoom } from "../views/zoom.js";
import { Screen } from "./gl/screen.js";
import { photoOf } from "./photo.js";
import { Superpixels } from "./superpixels.js";
import type { ImageLook } from "./traits.js";

/** The photo with its attribution over it, the regions on it, and what is under the pointer, in numbers. */
export class Overlay implements MapView {
  readonly element: HTMLElement;
  /** The layer that zooms and pans; more can be laid over it. */
  readonly layer: HTMLElement;
  readonly readout = html("p", { class: "igw-readout", "aria-live": "polite" });
  readonly tool: RegionTool;
  readonly #surface: Surface;
  readonly #cursor: PixelCursor;
  readonly #outlines: RegionOutlines;
  readonly #screen: Screen;
  #picture: Picture | undefined;
  #patches: { readonly photo: Uint8Array; readonly superpixels: Superpixels } | undefined;

  /** `redraw` requests another frame. `isBeside`: this is not the first pane. */
  constructor(
    regions: Selections<Region>,
    zoom: Zoom,
    redraw: () => void,
    signal: AbortSignal,
    isBeside = false,
  ) {
    this.#screen = new Screen(redraw, signal, isBeside);
    this.element = html("div", { role: "img", tabindex: 0, class: "igw-picture igw-overlay" });
    this.layer = html("div");
    this.#surface = new Surface(this.element, this.layer);
    this.#outlines = new RegionOutlines(this.#surface);
    const outline = () => {
      assign(this.element, { "data-mode": this.tool.mode });
      this.#outlines.draw(regions, this.tool.draft);
      redraw();
    };
    const moved = () => {
      // A rectangle that is drawn by keys follows the cross-hair.
      if (this.tool.draft !== undefined) outline();
      redraw();
    };
    this.#cursor = new PixelCursor(this.#surface, moved, signal);
    this.tool = new RegionTool(
      this.#surface,
      this.#cursor,
      regions,
      outline,
      (pixel) => this.#patchAt(pixel),
      signal,
    );
    regions.subscribe(outline, signal);
    this.layer.append(this.#screen.canvas, this.#outlines.element, this.#cursor.element);
    this.element.append(this.layer);
    zoom.attach(this.element, this.layer, signal, () => {
      const { pixel } = this.#cursor;
      if (pixel === undefined) return undefined;
      const [x, y] = this.#surface.toShare([pixel.column + 0.5, pixel.row + 0.5]);
      return { x, y };
    });
    this.#describe(0);
  }

  /** Returns the superpixel around a pixel; superpixels are computed at the first call. */
  #patchAt({ column, row }: Pixel): Region | undefined {
    if (this.#picture === undefined) return undefined;
    const { photo, width, height } = photoOf(this.#picture.begin.display);
    if (this.#patches?.photo !== photo)
      this.#patches = { photo, superpixels: new Superpixels(photo, width, height) };
    return { kind: "mask", runs: this.#patches.superpixels.runsAt(column, row) };
  }

  /** The pixel under the cross-hair. */
  get pixel(): Pixel | undefined {
    return this.#cursor.pixel;
  }

  get pointed(): number | undefined {
    return this.pixel && this.pixel.row * this.#surface.width + this.pixel.column;
  }

  follow(pixel: number | undefined): void {
    const { width } = this.#surface;
    this.#cursor.follow(
      pixel === undefined ? undefined : { column: pixel % width, row: Math.floor(pixel / width) },
    );
  }

  get drawnBy(): Screen {
    return this.#screen;
  }

  paint(lut: Uint8Array): void {
    this.#screen.paint(lut);
  }

  show(picture: Picture): void {
    this.#picture = picture;
    const { width, height } = photoOf(picture.begin.display);
    if (this.#surface.resize(width, height)) {
      this.#cursor.clear();
      this.tool.cancel();
    }
    this.#screen.show(picture);
  }

  draw(look: ImageLook, scale: number): void {
    this.#describe(look.alpha);
    this.#read(look.alpha);
    if (this.#picture === undefined) return;
    this.#screen.draw({ ...this.#picture.map.place(look.alpha), ...look, scale });
  }

  #describe(alpha: number): void {
    assign(this.element, { "aria-label": this.#inWords(alpha) });
  }

  #inWords(alpha: number): string {
    if (this.#picture === undefined) return "attribution overlay: nothing sampled yet";
    const { begin, plan } = this.#picture;
    const score = `${shorten(begin.outputName)} ${significant(balance(plan).atInput)}`;
    const name = shorten(begin.targetName);
    const delta = plan.delta === null ? "" : `, delta ${signed(plan.delta, 2)}`;
    return `attribution overlay: ${name}, ${score}, alpha ${fixed(alpha, 2)}${delta}`;
  }

  #read(alpha: number): void {
    const { pixel } = this.#cursor;
    if (pixel === undefined || this.#picture === undefined) {
      write(this.readout, "Point at a pixel, or use the arrow keys, to read it");
      return;
    }
    if (this.tool.hint !== "") {
      write(this.readout, this.tool.hint);
      return;
    }
    const { begin, plan, map } = this.#picture;
    const { width } = photoOf(begin.display);
    const value = map.valueAt(pixel.row * width + pixel.column, alpha);
    const share = plan.sum === 0 ? Number.NaN : value / plan.sum;
    write(
      this.readout,
      `pixel (${pixel.column}, ${pixel.row}): ${signed(value)}, ${percent(share, 3)} of the total`,
    );
  }
}
