import type { Panes } from "../core/panes.js";
import type { Picture } from "../core/store.js";
import type { Look } from "../core/traits.js";
import type { Overlay } from "../image/overlay.js";
import type { Regions } from "../panels/selections.js";
import { assign, html } from "../util/dom.js";
import { lifeWithin } from "../util/life.js";
import type { Pixel } from "./cursor.js";
import { comparable, Difference } from "./difference.js";
import { PaneView } from "./pane_view.js";
import type { Zoom } from "./zoom.js";

/** The panes beside the first one, and what the first has more than the second. */
export class ComparisonView {
  readonly element = html("div", { class: "igw-panes", hidden: true });
  readonly #panes: Panes;
  readonly #regions: Regions;
  readonly #zoom: Zoom;
  readonly #redraw: () => void;
  readonly #signal: AbortSignal;
  readonly #difference: Difference;
  readonly #others: { readonly view: PaneView; readonly life: AbortController }[] = [];
  #pixel: Pixel | undefined;
  #lut: Uint8Array | undefined;

  constructor(panes: Panes, regions: Regions, zoom: Zoom, redraw: () => void, signal: AbortSignal) {
    this.#panes = panes;
    this.#regions = regions;
    this.#zoom = zoom;
    this.#redraw = redraw;
    this.#signal = signal;
    this.#difference = new Difference(zoom, signal);
    panes.subscribe(() => this.#arrange(), signal);
    this.#arrange();
  }

  paint(lut: Uint8Array): void {
    this.#lut = lut;
    for (const { view } of this.#others) view.overlay.paint(lut);
  }

  /** All in one scale with the first picture, as far as they are in its unit; that scale is returned. */
  draw(first: Picture | undefined, look: Look): number {
    const scaleOf = (picture: Picture | undefined) => picture?.map.scale(look.clip) ?? 0;
    const others = this.#others.map(({ view }) => view.update());
    const shared = others.filter((one) => first !== undefined && one && comparable(first, one));
    const scale = Math.max(scaleOf(first), ...shared.map(scaleOf));
    this.#others.forEach(({ view }, i) => {
      const other = others[i];
      view.draw(look, shared.includes(other) ? scale : scaleOf(other));
    });
    if (others.length > 0) this.#difference.draw(first, others[0], look, scale, this.#lut);
    return scale;
  }

  /** What is pointed at in one picture is in all. */
  linkPointers(first: Overlay): void {
    const overlays = [first, ...this.#others.map(({ view }) => view.overlay)];
    const moved = overlays.find(({ pixel }) => !areSame(pixel, this.#pixel));
    if (moved === undefined) return;
    this.#pixel = moved.pixel;
    for (const overlay of overlays) if (overlay !== moved) overlay.follow(this.#pixel);
  }

  /** As many as there are stores besides the first, each of which lasts as long as its pane. */
  #arrange(): void {
    const stores = this.#panes.stores.slice(1);
    for (const { life } of this.#others.splice(stores.length)) life.abort();
    for (const store of stores.slice(this.#others.length)) {
      const life = lifeWithin(this.#signal);
      const view = new PaneView(store, this.#regions, this.#zoom, this.#redraw, life.signal);
      if (this.#lut !== undefined) view.overlay.paint(this.#lut);
      this.#others.push({ view, life });
    }
    const isAlone = this.#others.length === 0;
    const views = this.#others.map(({ view }) => view.element);
    this.element.replaceChildren(...views, ...(isAlone ? [] : [this.#difference.element]));
    assign(this.element, { hidden: isAlone });
    this.#redraw();
  }
}

function areSame(one: Pixel | undefined, other: Pixel | undefined): boolean {
  return one?.column === other?.column && one?.row === other?.row;
}
