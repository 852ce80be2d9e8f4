import type { KindView, MapView } from "../core/kind.js";
import type { Panes } from "../core/panes.js";
import type { Picture } from "../core/store.js";
import type { Look } from "../core/traits.js";
import { html } from "../util/dom.js";
import { lifeWithin } from "../util/life.js";
import { comparable, Difference } from "./difference.js";
import { PaneView } from "./pane_view.js";

/** The panes beside the first one, and the difference of the first two. */
export class ComparisonView {
  readonly element = html("div", { class: "igw-panes", hidden: true });
  readonly #panes: Panes;
  readonly #kind: KindView;
  readonly #redraw: () => void;
  readonly #signal: AbortSignal;
  readonly #difference: Difference;
  readonly #others: { readonly view: PaneView; readonly life: AbortController }[] = [];
  #pointed: number | undefined;
  #lut: Uint8Array | undefined;

  constructor(panes: Panes, kind: KindView, redraw: () => void, signal: AbortSignal) {
    this.#panes = panes;
    this.#kind = kind;
    this.#redraw = redraw;
    this.#signal = signal;
    this.#difference = new Difference(kind.staticMap());
    panes.subscribe(() => this.#arrange(), signal);
    this.#arrange();
  }

  paint(lut: Uint8Array): void {
    this.#lut = lut;
    for (const { view } of this.#others) view.map.paint(lut);
  }

  /** Draws all panes in one scale, as far as they have the first one's unit; returns that scale. */
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

  /** Makes all maps point at the same element. */
  linkPointers(first: MapView): void {
    const maps = [first, ...this.#others.map(({ view }) => view.map)];
    const moved = maps.find(({ pointed }) => pointed !== this.#pointed);
    if (moved === undefined) return;
    this.#pointed = moved.pointed;
    for (const map of maps) if (map !== moved) map.follow(this.#pointed);
  }

  /** Makes one view for each store besides the first; a view ends with its pane. */
  #arrange(): void {
    const stores = this.#panes.stores.slice(1);
    for (const { life } of this.#others.splice(stores.length)) life.abort();
    for (const store of stores.slice(this.#others.length)) {
      const life = lifeWithin(this.#signal);
      store.subscribe(this.#redraw, life.signal);
      const view = new PaneView(store, this.#kind.mapBeside(life.signal));
      if (this.#lut !== undefined) view.map.paint(this.#lut);
      this.#others.push({ view, life });
    }
    const isAlone = this.#others.length === 0;
    const views = this.#others.map(({ view }) => view.element);
    this.element.replaceChildren(...views, ...(isAlone ? [] : [this.#difference.element]));
    this.element.hidden = isAlone;
    this.#redraw();
  }
}
